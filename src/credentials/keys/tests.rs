//! Keys as `ssh-keygen` writes them, logged in with on a real sshd by libssh2, from memory.

use std::fs;
use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use openssl::ec::{EcGroup, EcKey};
use openssl::pkey::PKey;
use openssl::symm::Cipher;
use tempfile::TempDir;

use super::*;

const PASSPHRASE: &str = "open sesame";

fn never(_: &Path) -> io::Result<Option<Zeroizing<String>>> {
    panic!("asked for a passphrase")
}

#[expect(clippy::unnecessary_wraps, reason = "what `load` asks is fallible")]
fn nobody(_: &Path) -> io::Result<Option<Zeroizing<String>>> {
    Ok(None)
}

fn ssh_keygen(args: &[&str]) {
    let output = Command::new("ssh-keygen").arg("-q").args(args).output().expect("ssh-keygen: install openssh-client");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// A new key; an OpenSSH one, without a passphrase.
fn generate(folder: &TempDir, name: &str, kind: &[&str]) -> PathBuf {
    let path = folder.path().join(name);
    ssh_keygen(&[&["-t", kind[0]], &kind[1..], &["-N", "", "-f", path.to_str().unwrap()]].concat());
    path
}

/// The same key in another form.
fn convert(key: &Path, form: &[&str], passphrase: &str) -> PathBuf {
    let name = format!("{}-{}-{}", key.file_name().unwrap().to_str().unwrap(), form.concat(), passphrase.len());
    let path = key.with_file_name(name.replace(['@', ' '], "_"));
    fs::copy(key, &path).unwrap();
    let file = path.to_str().unwrap();
    // One round of hashing: the default of 16 would take seconds over all forms.
    ssh_keygen(&[&["-p", "-a", "1", "-P", "", "-N", passphrase, "-f", file], form].concat());
    path
}

fn write(folder: &TempDir, name: &str, text: impl AsRef<[u8]>, mode: u32) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    path
}

/// A real sshd for as long as the value lives.
struct Sshd {
    child: Child,
    port: u16,
    user: String,
    folder: TempDir,
}

impl Sshd {
    fn start() -> Self {
        let folder = folder();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        generate(&folder, "host_key", &["ed25519"]);
        fs::write(path("authorized_keys"), "").unwrap();
        let conf = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\n",
            path("host_key"),
            path("authorized_keys"),
        );
        fs::write(path("sshd_config"), conf).unwrap();
        // Where sshd separates privileges; only root needs it, and only root can make it.
        let _ = fs::create_dir_all("/run/sshd");
        let log = fs::File::create(path("log")).unwrap();
        let child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f", &path("sshd_config")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("sshd: install openssh-server");
        let user = Command::new("id").arg("-un").output().unwrap().stdout;
        let sshd = Self { child, port, user: String::from_utf8(user).unwrap().trim().to_owned(), folder };
        let since = Instant::now();
        while !sshd.greets() {
            assert!(since.elapsed() < Duration::from_secs(20), "sshd does not come up: {}", sshd.log());
            thread::sleep(Duration::from_millis(20));
        }
        sshd
    }

    fn greets(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else { return false };
        let mut banner = [0; 4];
        stream.read_exact(&mut banner).is_ok() && &banner == b"SSH-"
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    fn authorize(&self, blob: &[u8]) {
        use base64::Engine as _;
        let key_type = algorithm(blob).unwrap();
        let line = format!("{key_type} {}\n", base64::engine::general_purpose::STANDARD.encode(blob));
        fs::write(self.folder.path().join("authorized_keys"), line).unwrap();
    }

    #[track_caller]
    fn login(&self, key: &PrivateKey, what: &str) {
        self.authorize(key.public_blob.as_deref().unwrap());
        let mut session = ssh2::Session::new().unwrap();
        session.set_timeout(20_000);
        session.set_tcp_stream(TcpStream::connect(("127.0.0.1", self.port)).unwrap());
        session.handshake().unwrap();
        let result = session.userauth_pubkey_memory(&self.user, None, &key.pem, None);
        assert!(result.is_ok() && session.authenticated(), "{what}: {result:?}\n{}", self.log());
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn every_form_logs_in_from_memory() {
    let sshd = Sshd::start();
    let folder = folder();
    let mut tried = 0;
    for kind in [
        ["ed25519", "-C", "no bits"],
        ["ecdsa", "-b", "256"],
        ["ecdsa", "-b", "384"],
        ["ecdsa", "-b", "521"],
        ["rsa", "-b", "2048"],
    ] {
        let original = generate(&folder, &kind.concat().replace(' ', ""), &kind);
        let plain = load(&original, &mut never).unwrap();
        for form in [
            &["-m", "RFC4716"][..],
            &["-m", "RFC4716", "-Z", "aes128-cbc"],
            &["-m", "RFC4716", "-Z", "aes256-gcm@openssh.com"],
            &["-m", "RFC4716", "-Z", "chacha20-poly1305@openssh.com"],
            &["-m", "PEM"],
            &["-m", "PKCS8"],
        ] {
            for passphrase in ["", PASSPHRASE] {
                let path = convert(&original, form, passphrase);
                let mut asked = 0;
                let key = load(&path, &mut |_| {
                    asked += 1;
                    Ok(Some(Zeroizing::new(PASSPHRASE.into())))
                })
                .unwrap();
                let what = format!("{kind:?} {form:?} {passphrase:?}");
                assert_eq!(asked, usize::from(!passphrase.is_empty()), "{what}");
                assert_eq!(key.fingerprint, plain.fingerprint, "{what}");
                assert_eq!(key.public_blob, plain.public_blob, "{what}");
                assert!(!key.pem.contains("ENCRYPTED"), "{what}");
                sshd.login(&key, &what);
                tried += 1;
            }
        }
    }
    assert_eq!(tried, 60);
}

#[test]
fn forms_that_only_openssl_writes_log_in_too() {
    let sshd = Sshd::start();
    let folder = folder();
    let ed25519 = PKey::generate_ed25519().unwrap();
    let curve = EcGroup::from_curve_name(openssl::nid::Nid::X9_62_PRIME256V1).unwrap();
    let ec = PKey::from_ec_key(EcKey::generate(&curve).unwrap()).unwrap();
    let secret = PASSPHRASE.as_bytes();
    for (name, pem) in [
        ("ed25519 PKCS#8", ed25519.private_key_to_pem_pkcs8().unwrap()),
        ("ed25519 PBES2", ed25519.private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), secret).unwrap()),
        ("ec PBES2", ec.private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), secret).unwrap()),
        ("ec SEC 1, 3DES", ec.ec_key().unwrap().private_key_to_pem_passphrase(Cipher::des_ede3_cbc(), secret).unwrap()),
        ("under other text", [b"Bag Attributes\n  x: y\n".to_vec(), ec.private_key_to_pem_pkcs8().unwrap()].concat()),
    ] {
        let path = write(&folder, "key", pem, 0o600);
        let key = load(&path, &mut |_| Ok(Some(Zeroizing::new(PASSPHRASE.into())))).unwrap();
        sshd.login(&key, name);
    }
}

#[test]
fn a_key_with_carriage_returns_and_other_line_lengths_is_a_key() {
    let folder = folder();
    let text = fs::read_to_string(generate(&folder, "key", &["ed25519"])).unwrap();
    let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    let one_line = format!("{}\n{body}\n{}\n", text.lines().next().unwrap(), text.lines().last().unwrap());
    for odd in [text.replace('\n', "\r\n"), one_line, text.trim_end().to_owned(), format!("\n\n{text}\n\n")] {
        assert_eq!(*load(&write(&folder, "odd", &odd, 0o600), &mut never).unwrap().pem, text, "{odd:?}");
    }
}

#[track_caller]
fn fails(path: &Path, ask: AskPassphrase<'_>, want: &str) {
    let error = load(path, ask).unwrap_err();
    let hint = error.hint().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
    let text = format!("{error}{hint}").replace(path.to_str().unwrap(), "PATH");
    assert_eq!(text.replace(path.parent().unwrap().to_str().unwrap(), "FOLDER"), want);
}

#[test]
fn files_that_are_no_private_key() {
    let folder = folder();
    let key = generate(&folder, "id", &["ed25519"]);
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    let sick = "\nhint: `ssh-keygen -y -f PATH` tells if ssh can read it";

    fails(&folder.path().join("none"), &mut never, "key file `PATH` does not exist\nhint: name the key file with `-i`");
    let public =
        "key file `PATH` is a public key, not a private key\nhint: name the private key, most often `FOLDER/id`";
    fails(&key.with_extension("pub"), &mut never, public);
    let sub = folder.path().join("sub");
    fs::create_dir(&sub).unwrap();
    fails(&sub, &mut never, &format!("key file `PATH` is a folder, not a private key{sick}"));

    for (text, want) in [
        ("", "is empty, not a private key"),
        ("hello\n", "is something else, not a private key"),
        ("-----BEGIN CERTIFICATE-----\nMIIB\n", "is an X.509 certificate, not a private key"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3Blbn\n", "cannot be read as a key: it is cut short"),
        (
            "-----BEGIN OPENSSH PRIVATE KEY-----\n!!!\n-----END OPENSSH PRIVATE KEY-----\n",
            "cannot be read as a key: it is not base64",
        ),
        (
            "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
            "cannot be read as a key: it is no openssh-key-v1",
        ),
    ] {
        let path = write(&folder, "bad", text, 0o600);
        let other =
            if want.starts_with("is something else") { "; a hosts file or an inventory is named with -f" } else { "" };
        fails(&path, &mut never, &format!("key file `PATH` {want}{sick}{other}"));
    }
    let putty = write(&folder, "id.ppk", "PuTTY-User-Key-File-3: ssh-ed25519\n", 0o600);
    let convert = "key file `PATH` is a PuTTY key, not a private key\nhint: convert it: puttygen PATH -O private-openssh -o FOLDER/id.key";
    fails(&putty, &mut never, convert);
    let broken = write(&folder, "pem", "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n", 0o600);
    assert!(matches!(load(&broken, &mut never).unwrap_err().fault, KeyFault::Broken(_)));

    let open = write(&folder, "open", read(&key), 0o644);
    fails(&open, &mut never, "key file `PATH` has mode 644: others can read it\nhint: chmod 600 PATH");
}

#[test]
fn keys_that_libssh2_cannot_use_are_named_before_anybody_is_asked() {
    let folder = folder();
    let dsa = write(&folder, "dsa", "-----BEGIN DSA PRIVATE KEY-----\nAAAA\n-----END DSA PRIVATE KEY-----\n", 0o600);
    fails(
        &dsa,
        &mut never,
        "key file `PATH` is of type ssh-dss, which gsctl cannot use\nhint: use an ed25519, ecdsa or rsa key",
    );
    let curve = EcGroup::from_curve_name(openssl::nid::Nid::SECP256K1).unwrap();
    let odd = PKey::from_ec_key(EcKey::generate(&curve).unwrap()).unwrap().private_key_to_pem_pkcs8().unwrap();
    let odd = write(&folder, "curve", odd, 0o600);
    assert!(load(&odd, &mut never).unwrap_err().to_string().contains("ecdsa on the curve secp256k1"));

    // A token's key, whose private half never leaves the token.
    let mut sk = b"openssh-key-v1\0".to_vec();
    openssh::put(&mut sk, b"aes256-ctr");
    openssh::put(&mut sk, b"bcrypt");
    let mut options = Vec::new();
    openssh::put(&mut options, &[0; 16]);
    options.extend(16_u32.to_be_bytes());
    openssh::put(&mut sk, &options);
    sk.extend(1_u32.to_be_bytes());
    let mut public = Vec::new();
    openssh::put(&mut public, b"sk-ssh-ed25519@openssh.com");
    openssh::put(&mut sk, &public);
    openssh::put(&mut sk, &[0; 32]);
    let body = openssl::base64::encode_block(&sk);
    let text = format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{body}\n-----END OPENSSH PRIVATE KEY-----\n");
    fails(
        &write(&folder, "sk", text, 0o600),
        &mut never,
        "key file `PATH` is of type sk-ssh-ed25519@openssh.com, which gsctl cannot use\nhint: load it into an ssh-agent, use another key, or `--transport openssh`",
    );
}

#[test]
fn passphrases_are_asked_for_three_times_at_most() {
    let folder = folder();
    let original = generate(&folder, "id", &["ecdsa"]);
    for form in ["RFC4716", "PEM", "PKCS8"] {
        let path = convert(&original, &["-m", form], PASSPHRASE);
        let mut answers = vec![PASSPHRASE, "wrong", ""].into_iter().rev();
        let key = load(&path, &mut |_| Ok(answers.next().map(|text| Zeroizing::new(text.into())))).unwrap();
        assert_eq!(key.algorithm, "ecdsa-sha2-nistp256", "{form}");

        let mut asked = 0;
        let hint = "hint: load it into an ssh-agent: ssh-add PATH";
        fails(
            &path,
            &mut |_| {
                asked += 1;
                Ok(Some(Zeroizing::new("nul \0 and more".repeat(200))))
            },
            &format!("key file `PATH`: wrong passphrase, 3 times\n{hint}"),
        );
        assert_eq!(asked, 3, "{form}");
        let alone = "key file `PATH` is encrypted, and there is no terminal to ask for its passphrase on";
        fails(&path, &mut nobody, &format!("{alone}\n{hint}"));
        fails(
            &path,
            &mut |_| Err(io::Error::other("the terminal went away")),
            "key file `PATH`: asking for its passphrase failed: the terminal went away",
        );
    }
}

#[test]
fn nothing_secret_is_shown() {
    let folder = folder();
    let key = load(&generate(&folder, "id", &["ed25519"]), &mut never).unwrap();
    let shown = format!("{key:?}");
    assert!(shown.contains(&key.fingerprint) && !shown.contains("PRIVATE"), "{shown}");
}

#[test]
fn default_identities_are_those_that_are_there_in_order() {
    let home = folder();
    fs::create_dir(home.path().join(".ssh")).unwrap();
    for name in ["id_ed25519", "id_rsa", "id_ed25519_sk"] {
        fs::write(home.path().join(".ssh").join(name), "").unwrap();
    }
    let ssh = home.path().join(".ssh");
    assert_eq!(default_identities(home.path()), [ssh.join("id_rsa"), ssh.join("id_ed25519")]);
}

proptest::proptest! {
    #[test]
    fn no_file_makes_it_panic(body: Vec<u8>, cut in 0_usize..400) {
        let folder = folder();
        // Behind the magic, so that the fields are reached.
        let mut bytes = b"openssh-key-v1\0\0\0\0\x04none\0\0\0\x04none\0\0\0\0\0\0\0\x01".to_vec();
        bytes.extend(&body);
        bytes.truncate(cut);
        let text = format!(
            "-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n-----END OPENSSH PRIVATE KEY-----\n",
            openssl::base64::encode_block(&bytes)
        );
        let _ = load(&write(&folder, "key", text, 0o600), &mut nobody);
        let _ = load(&write(&folder, "key", body, 0o600), &mut nobody);
    }
}
