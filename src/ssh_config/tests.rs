//! `ssh_config` against files as people write them, with `ssh -G` as the judge where it can be.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use tempfile::TempDir;

use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::credentials::known_hosts::HostKeyPolicy;
use crate::transport::algorithms::AlgorithmLists;
use crate::transport::algorithms::{AlgorithmChoice, AlgorithmKind};
use crate::transport::target::{Family, Method};

fn home(files: &[(&str, &str)]) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join(".ssh")).unwrap();
    for (name, text) in files {
        let path = home.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    home
}

fn options(options: &[&str]) -> Vec<String> {
    options.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn load(home: &TempDir, given: &[&str]) -> SshConfig {
    let system = home.path().join("system");
    SshConfig::load_from(None, home.path(), &BTreeMap::new(), &options(given), &system).unwrap().with_local_user("eva")
}

fn config(text: &str) -> (TempDir, SshConfig) {
    let home = home(&[(".ssh/config", text)]);
    let config = load(&home, &[]);
    (home, config)
}

#[test]
fn the_first_value_wins_and_identities_add_up() {
    let (_home, config) = config(
        "Host db*\n Port 2201\n Port 2202\n User omm\n IdentityFile /k/db\n\
         Host *\n Port 22\n User root\n IdentityFile /k/all\n IdentityFile /k/db\n",
    );
    let db = config.resolve("db1");
    assert_eq!((db.port, db.user.as_deref()), (Some(2201), Some("omm")));
    assert_eq!(db.identity_files, [PathBuf::from("/k/db"), "/k/all".into()]);
    let other = config.resolve("web");
    assert_eq!((other.port, other.user.as_deref()), (Some(22), Some("root")));
}

#[test]
fn options_win_over_files_and_what_is_given_over_both() {
    let home = home(&[(".ssh/config", "User file\nPort 1\nHostName 10.0.0.1\nIdentityFile /k/%r@%h:%p\n")]);
    let config = load(&home, &["User=option", "port 2"]);
    let plain = config.resolve("n");
    assert_eq!((plain.user.as_deref(), plain.port), (Some("option"), Some(2)));
    assert_eq!(plain.identity_files, [PathBuf::from("/k/option@10.0.0.1:2")]);
    let given = Overrides { user: Some("given"), port: Some(3), address: Some("10.0.0.9"), ..Overrides::default() };
    let strongest = config.resolve_with("n", &given);
    assert_eq!(strongest.host_name.as_deref(), Some("10.0.0.9"));
    assert_eq!(strongest.identity_files, [PathBuf::from("/k/given@10.0.0.9:3")]);
}

#[test]
fn every_setting() {
    let home = home(&[(
        ".ssh/config",
        "Host n\n hostname %h.example.com\n identityfile ~/.ssh/id_%n\n IdentitiesOnly yes\n ConnectTimeout 1m\n ConnectionAttempts 4\n \
         ServerAliveInterval 15\n ServerAliveCountMax 2\n UserKnownHostsFile ~/.ssh/known_%r /x\n GlobalKnownHostsFile none\n \
         StrictHostKeyChecking accept-new\n HostKeyAlias alias\n HashKnownHosts yes\n IdentityAgent $OTHER_SOCK\n BatchMode yes\n Compression yes\n ProxyCommand nc -X '%r' %h %p # %n\n User omm\n \
         CertificateFile ~/.ssh/id-cert.pub\n PreferredAuthentications gssapi,password,publickey\n PubkeyAuthentication no\n \
         Ciphers aes128-ctr\n AddressFamily inet\n BindAddress 10.0.0.1\n SendEnv A B*\n SetEnv C=d\n",
    )]);
    let n = load(&home, &[]).resolve("n");
    let ssh = home.path().join(".ssh");
    let mut algorithms = AlgorithmLists::default();
    algorithms.choose(&AlgorithmChoice::parse(AlgorithmKind::Cipher, "aes128-ctr").unwrap());
    let want = SshOptions {
        host_name: Some("n.example.com".into()),
        user: Some("omm".into()),
        port: None,
        identity_files: vec![ssh.join("id_n")],
        identities_given: true,
        identities_only: true,
        certificate_files: vec![ssh.join("id-cert.pub")],
        methods: Some(vec![Method::Password]),
        connect_timeout: Some(Duration::from_secs(60)),
        connection_attempts: Some(4),
        alive_interval: Some(Duration::from_secs(15)),
        alive_count: Some(2),
        user_known_hosts: Some(vec![ssh.join("known_omm"), "/x".into()]),
        global_known_hosts: Some(Vec::new()),
        strict_host_key_checking: Some(HostKeyPolicy::AcceptNew),
        host_key_alias: Some("alias".into()),
        hash_known_hosts: true,
        identity_agent: Some(IdentityAgent::Variable("OTHER_SOCK".into())),
        batch_mode: true,
        compression: true,
        proxy: Some(ProxyRoute::Command("nc -X 'omm' n.example.com 22 # n".into())),
        algorithms,
        family: Some(Family::V4),
        bind: Some("10.0.0.1".parse().unwrap()),
        send_env: vec!["A".into(), "B*".into()],
        set_env: vec![("C".into(), "d".into())],
        tag: None,
        said: n.said.clone(),
        impossible: None,
        unhonoured: Vec::new(),
    };
    assert_eq!(n, want);
    assert_eq!(load(&home, &[]).resolve("m"), SshOptions::default());
}

#[test]
fn agents() {
    for (text, want) in [
        ("none", IdentityAgent::Off),
        ("SSH_AUTH_SOCK", IdentityAgent::Variable("SSH_AUTH_SOCK".into())),
        ("/run/agent-%u", IdentityAgent::Socket("/run/agent-eva".into())),
        ("${HOME}/agent", IdentityAgent::Socket("HOME/agent".into())),
    ] {
        let (home, config) = config(&format!("IdentityAgent {text}\n"));
        let want = match want {
            IdentityAgent::Socket(path) => match path.strip_prefix("HOME") {
                Ok(rest) => IdentityAgent::Socket(home.path().join(rest)),
                Err(_) => IdentityAgent::Socket(path),
            },
            other => other,
        };
        assert_eq!(config.resolve("n").identity_agent, Some(want), "{text}");
    }
}

#[test]
fn no_identity_at_all_is_not_the_same_as_none_set() {
    let (_home, config) = config("Host n\n IdentityFile none\n");
    let n = config.resolve("n");
    assert!(n.identity_files.is_empty() && n.identities_given);
    assert!(!config.resolve("m").identities_given);
}

#[test]
fn what_a_file_wants_and_gsctl_cannot_is_said_once_with_its_place() {
    let text = "SendEnv LANG\nGSSAPIAuthentication yes\nHost a\n SmartcardDevice x\nHost b\n smartcarddevice y\n BindInterface eth0\n\
                Host c\n PermitLocalCommand no\n AddKeysToAgent confirm\n ForwardAgent no\nHost *\n UserKnownHostsFile ~/%C\n Frobnicate 1\n";
    let (home, config) = config(text);
    let file = home.path().join(".ssh/config");
    let file = file.display();
    assert_eq!(
        config.warnings(),
        [
            format!(
                "ssh config `{file}`, line 4: gsctl cannot honour `SmartcardDevice` yet; put the card's keys into the agent: `ssh-add -s`"
            ),
            format!(
                "ssh config `{file}`, line 7: gsctl cannot honour `BindInterface` yet; name one of its addresses: `BindAddress`"
            ),
            format!(
                "ssh config `{file}`, line 13: gsctl cannot honour `UserKnownHostsFile` yet; leave it out, or let ssh make the connections: `--transport openssh`"
            ),
            format!("ssh config `{file}`, line 14: `Frobnicate` is unknown"),
        ]
    );
    let keywords = |host: &str| -> Vec<String> {
        config
            .resolve(host)
            .unhonoured
            .iter()
            .map(|what| format!("{} {} {}", what.keyword, what.value, what.line))
            .collect()
    };
    assert_eq!(keywords("a"), ["SmartcardDevice x 4", "UserKnownHostsFile ~/%C 13"]);
    assert_eq!(keywords("b"), ["SmartcardDevice y 6", "BindInterface eth0 7", "UserKnownHostsFile ~/%C 13"]);
    assert_eq!(keywords("c"), ["UserKnownHostsFile ~/%C 13"]);
}

#[test]
fn of_proxy_jump_and_proxy_command_the_first_counts() {
    // That there is no jump host does not rule a command out, as `ssh -G` has it.
    let (_home, config) = config(
        "Host a\n ProxyJump none\nHost b\n ProxyCommand none\nHost c\n ProxyCommand=nc %h %p\nHost *\n ProxyJump omm@j1:2222,ssh://j2\n\
         Host *\n ProxyCommand nc other\n",
    );
    assert_eq!(config.resolve("a").proxy, Some(ProxyRoute::Command("nc other".into())));
    assert_eq!(config.resolve("b").proxy, Some(ProxyRoute::None));
    assert_eq!(config.resolve("c").proxy, Some(ProxyRoute::Command("nc c 22".into())));
    let Some(ProxyRoute::Jump(hops)) = config.resolve("d").proxy else { panic!("no jump") };
    assert_eq!(hops.iter().map(crate::inventory::spec::Spec::with_port).collect::<Vec<_>>(), ["j1:2222", "j2"]);
}

#[test]
fn options_about_one_host_are_not_about_its_jump_host() {
    let home = home(&[(".ssh/config", "Host j\n User jump\n Port 7\n")]);
    let options = ["User=u", "Port=9", "HostName=h", "HostKeyAlias=k", "ProxyJump=j", "ConnectTimeout=3"];
    let config = load(&home, &options);
    let host = config.resolve("n");
    assert_eq!((host.user.as_deref(), host.port, host.host_name.as_deref()), (Some("u"), Some(9), Some("h")));
    assert!(matches!(host.proxy, Some(ProxyRoute::Jump(_))));
    let jump = config.resolve_with("j", &Overrides { as_jump: true, ..Overrides::default() });
    assert_eq!((jump.user.as_deref(), jump.port, jump.host_name), (Some("jump"), Some(7), None));
    assert_eq!((jump.host_key_alias, jump.proxy), (None, None));
    assert_eq!(jump.connect_timeout, Some(Duration::from_secs(3)));
}

#[test]
fn ask_is_strict_and_says_so() {
    let (_home, config) = config("StrictHostKeyChecking ask\n");
    assert_eq!(config.resolve("n").strict_host_key_checking, Some(HostKeyPolicy::Strict));
    assert!(config.warnings()[0].contains("line 1: gsctl does not ask about host keys"), "{:?}", config.warnings());
}

#[test]
fn match_blocks_that_can_be_decided_are() {
    let (_home, config) = config(
        "Host db\n HostName 10.0.0.7\nMatch host 10.0.0.*\n Port 2207\nMatch originalhost web,mail\n Port 2208\n\
         Match user root host odd\n Port 2209\nMatch !localuser eva\n Port 2210\nMatch all\n User last\n",
    );
    assert_eq!(config.resolve("db").port, Some(2207));
    assert_eq!(config.resolve("mail").port, Some(2208));
    assert_eq!(config.resolve("odd").port, None);
    let root = Overrides { user: Some("root"), ..Overrides::default() };
    assert_eq!(config.resolve_with("odd", &root).port, Some(2209));
    assert_eq!(config.with_local_user("bob").resolve("x").port, Some(2210));
}

#[test]
fn what_is_undecided_is_decided_by_ssh() {
    let (home, config) = config(
        "Host a\n Port 1\nMatch host b exec \"test %h = b\"\n Port 2\nMatch !exec \"test '%n' = 'c' # x\"\n User x\n\
         Match exec \"test -z ''\"\n ConnectTimeout 7\n",
    );
    let (a, b, c) = (config.resolve("a"), config.resolve("b"), config.resolve("c"));
    assert_eq!((a.port, a.user.as_deref(), a.connect_timeout), (Some(1), Some("x"), Some(Duration::from_secs(7))));
    assert_eq!((b.port, b.user.as_deref()), (Some(2), Some("x")));
    assert_eq!((c.port, c.user, c.impossible), (None, None, None));
    let file = home.path().join(".ssh/config").display().to_string();
    assert_eq!(b.source_of("Port").unwrap().origin.to_string(), format!("{file}:4"));
}

#[test]
fn what_nobody_can_decide_is_a_matter_of_its_hosts() {
    let text = "Host a\n Port 1\nMatch host b localnetwork 10.0.0.0/33\n Port 2\nMatch host c command x\n Port 3\n";
    let (home, config) = config(text);
    let file = home.path().join(".ssh/config").display().to_string();
    assert_eq!(config.resolve("a").impossible, None);
    let b = config.resolve("b").impossible.unwrap();
    assert!(b.to_string().starts_with(&format!("ssh config `{file}`, line 3: `Match`: `ssh -G` cannot decide this: ")));
    let c = config.resolve("c").impossible.unwrap().to_string();
    assert!(c.contains("line 5: `Match`: over one connection gsctl runs more commands than one"), "{c}");
}

#[test]
fn tags_and_session_types() {
    let (_home, config) = config(
        "Host a\n Tag one\nMatch tagged one,two sessiontype exec,shell\n Port 7\nMatch !tagged *\n User u\nMatch tagged \"\"\n User v\n",
    );
    assert_eq!(config.resolve("a").port, Some(7));
    assert_eq!((config.resolve("b").port, config.resolve("a").user), (None, None));
}

#[test]
fn includes_stand_where_they_are_and_under_their_block() {
    let home = home(&[
        (".ssh/config", "Include conf.d/*.conf\nHost in\n Include ~/inner missing/*\n Port 9\nHost *\n User last\n"),
        (".ssh/conf.d/10-a.conf", "Host a\n Port 1\n"),
        (".ssh/conf.d/20-b.conf", "Host a b\n Port 2\n"),
        (".ssh/conf.d/note.txt", "not a config\n"),
        ("inner", "User inner\nHost other\n Port 3\n"),
    ]);
    let config = load(&home, &[]);
    assert_eq!(config.resolve("a").port, Some(1));
    assert_eq!(config.resolve("b").port, Some(2));
    assert_eq!(config.resolve("in").port, Some(9));
    assert_eq!(config.resolve("in").user.as_deref(), Some("inner"));
    assert_eq!(config.resolve("other").port, None, "`Host other` stands under `Host in`");
    assert_eq!(config.resolve("other").user.as_deref(), Some("last"));
}

#[test]
fn the_system_file_comes_last() {
    let home = home(&[(".ssh/config", "Host a\n User mine\n"), ("system", "User theirs\nPort 7\n")]);
    let a = load(&home, &[]).resolve("a");
    assert_eq!((a.user.as_deref(), a.port), (Some("mine"), Some(7)));
    let only = SshConfig::load(Some(Path::new("none")), home.path(), &BTreeMap::new(), &[]).unwrap();
    assert_eq!(only.resolve("a"), SshOptions::default());
}

#[track_caller]
fn wrong(home: &TempDir, file: Option<&Path>, given: &[&str], want: &str) {
    let error =
        SshConfig::load_from(file, home.path(), &BTreeMap::new(), &options(given), Path::new("/none")).unwrap_err();
    let hint = error.hint().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
    assert_eq!(format!("{error}{hint}"), want);
}

#[test]
fn errors_name_the_place_and_the_way_out() {
    let home = home(&[(".ssh/config", "Host a\n  Port abc\n"), ("loop", "Include ~/loop\n"), ("quote", "User \"x\n")]);
    let path = |name: &str| home.path().join(name).display().to_string();
    let line =
        format!("ssh config `{}`, line 2: `Port` wants a number from 1 to 65535, not `abc`", path(".ssh/config"));
    wrong(&home, None, &[], &line);
    let around = format!("ssh config `{}`, line 1: `Include` goes round in a circle, or 16 files deep", path("loop"));
    wrong(&home, Some(&home.path().join("loop")), &[], &around);
    let quote = format!("ssh config `{}`, line 1: a quote is not closed", path("quote"));
    wrong(&home, Some(&home.path().join("quote")), &[], &quote);
    let missing = format!("ssh config `{}`: No such file or directory (os error 2)", path("missing"));
    wrong(&home, Some(&home.path().join("missing")), &[], &missing);

    fs::set_permissions(home.path().join(".ssh/config"), fs::Permissions::from_mode(0o666)).unwrap();
    let open = path(".ssh/config");
    let open =
        format!("ssh config `{open}` has mode 666 or another owner: others could write it\nhint: chmod 600 {open}");
    wrong(&home, None, &[], &open);
}

#[test]
fn an_option_that_cannot_be_honoured_is_an_error() {
    let home = home(&[]);
    for (option, want) in [
        (
            "ProxyUseFdpass=yes",
            "ssh option `ProxyUseFdpass=yes`: gsctl cannot honour `ProxyUseFdpass` yet\n\
             hint: let the command carry the connection itself: `nc` without -F",
        ),
        ("ProxyJump=a,,b", "ssh option `ProxyJump=a,,b`: `ProxyJump a,,b`: jump: the host name is missing"),
        (
            "ProxyCommand=nc %x",
            "ssh option `ProxyCommand=nc %x`: `%x` is no token of `ProxyCommand`: it takes %h %n %p %r %%",
        ),
        ("ProxyJmp=x", "ssh option `ProxyJmp=x`: `ProxyJmp` is no ssh option\nhint: did you mean `ProxyJump`?"),
        ("Quux=x", "ssh option `Quux=x`: `Quux` is no ssh option"),
        ("Port=ssh", "ssh option `Port=ssh`: `Port` wants a number from 1 to 65535, not `ssh`"),
        ("", "ssh option ``: is empty\nhint: write `-o KEY=VALUE`"),
        (
            "Match=all",
            "ssh option `Match=all`: `Match` has its place in a file only\nhint: put it into a file and name that with `-F`",
        ),
    ] {
        wrong(&home, None, &[option], want);
    }
    let fine = ["ForwardX11=yes", "ProxyJump=none", "LogLevel ERROR", "IgnoreUnknown=Qu*", "Quux=x"];
    assert!(load(&home, &fine).warnings().is_empty());
}

/// What `ssh -G` says of a host, for the keywords that both know.
fn ssh_says(file: &Path, host: &str) -> Vec<String> {
    let output =
        Command::new("ssh").arg("-G").arg("-F").arg(file).arg(host).output().expect("ssh: install openssh-client");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let wanted =
        ["hostname", "port", "user", "identityfile", "connectionattempts", "hostkeyalias", "userknownhostsfile"];
    let mut lines: Vec<String> = text
        .lines()
        .filter(|line| wanted.contains(&line.split(' ').next().unwrap()) && !line.contains("/.ssh/"))
        .map(str::to_owned)
        .collect();
    lines.sort();
    lines
}

fn we_say(config: &SshConfig, host: &str) -> Vec<String> {
    let options = config.resolve(host);
    let mut lines = vec![
        format!("hostname {}", options.host_name.unwrap_or_else(|| host.into()).to_lowercase()),
        format!("port {}", options.port.unwrap_or(22)),
        format!("user {}", options.user.as_deref().unwrap_or(config.local_user())),
        format!("connectionattempts {}", options.connection_attempts.unwrap_or(1)),
    ];
    lines.extend(options.identity_files.iter().map(|file| format!("identityfile {}", file.display())));
    lines.extend(options.host_key_alias.map(|alias| format!("hostkeyalias {alias}")));
    lines.extend(options.user_known_hosts.map(|files| {
        format!("userknownhostsfile {}", files.iter().map(|f| f.display().to_string()).collect::<Vec<_>>().join(" "))
    }));
    lines.sort();
    lines
}

#[test]
fn ssh_agrees() {
    let included = home(&[("inc", "Host b\n Port 77\nHost *\n ConnectionAttempts 5\n")]);
    let text = format!(
        "# head\nUser=first # not the user\nHost a b\n\tPort = 2222\n Port 3333\n IdentityFile \"/k/with space\"\n IdentityFile /k/two\n\
         Host !a *\n HostName %h.example.com\nInclude {}\nMatch host *.example.com !originalhost c\n HostKeyAlias fromhost\n \
         HostName other\nMatch originalhost c,d user first\n HostKeyAlias fromuser\nHost [abc] d?x\n IdentityFile /k/odd\nMatch all\n \
         UserKnownHostsFile /k/known /k/more\n IdentityFile /k/last\n User second\n",
        included.path().join("inc").display()
    );
    let home = home(&[("config", &text)]);
    let file = home.path().join("config");
    let config = SshConfig::load(Some(&file), home.path(), &BTreeMap::new(), &[]).unwrap();
    for host in ["a", "b", "c", "d", "dxx", "[abc]", "A", "10.0.0.1"] {
        assert_eq!(we_say(&config, host), ssh_says(&file, host), "{host} in\n{text}");
    }
}

#[test]
fn ssh_agrees_on_second_readings_and_questions() {
    let included = home(&[("inc", "Host *\n HostName late.example.com\n")]);
    let include = included.path().join("inc").display().to_string();
    for text in [
        "Host a\n HostName B.example.com\n Port 1\nHost b.example.com\n IdentityFile /k/second\nMatch final host b*\n User f\n",
        "Host a\n HostName b\nMatch canonical\n User c\nMatch !final\n Port 2\nMatch final all\n IdentityFile /k/f\n Port 3\n",
        "Host a\n HostName b\nMatch canonical\n User c\nMatch !canonical\n Port 3\n",
        "Match host zzz final\nHost a\n HostName b\nHost b\n Port 3\n",
        "Match host a exec \"test %h = a\"\n Port 3\n HostName x\nMatch exec \"test %h = x && test %p = 3\" user root\n User y\n",
        "Match host a exec true !exec false\n Port 5\nMatch exec false\n User no\nMatch final exec \"test %n = a\"\n User yes\n",
        "Match exec \"case %r in u) ;; *) false;; esac\"\n Port 5\nHost a\n User u\nMatch exec \"test %r = u\"\n Port 6\n",
        "CanonicalizeHostname yes\nCanonicalDomains example.invalid\nMatch canonical host localhost\n Port 9\nHost a\n HostName localhost\n",
        "Match exec \"test '%n' = a\" originalhost a\n ConnectionAttempts 4\n",
        // What stands under a `Match` after an `Include` is under it still, whatever the name has become.
        &format!("Match host a\n Include {include}\n Port 8\n"),
    ] {
        let home = home(&[("config", text)]);
        let file = home.path().join("config");
        let config = SshConfig::load(Some(&file), home.path(), &BTreeMap::new(), &[]).unwrap();
        for host in ["a", "b", "localhost"] {
            assert_eq!(we_say(&config, host), ssh_says(&file, host), "{host} in\n{text}");
            assert_eq!(config.resolve(host).impossible, None);
        }
    }
}

proptest::proptest! {
    #[test]
    fn no_file_makes_it_panic(text in "(Host|Match|Port|IdentityFile|User|x)[ =](([!*?a-z%~\"',=${}]){0,8} ?){0,4}\n(.|\n){0,80}", host in ".{0,8}") {
        let home = home(&[("config", &text)]);
        if let Ok(config) = SshConfig::load(Some(&home.path().join("config")), home.path(), &BTreeMap::new(), &[]) {
            let _ = config.resolve(&host);
        }
    }
}

#[test]
fn environment_is_sent_by_pattern_and_set_once() {
    let (_home, config) = config(
        "Host a\n SendEnv MY_* LC_* -MY_A* TERM\n SetEnv X=1 MY_B=set\nHost *\n SendEnv LANG ALL\n SetEnv Y=2\nHost a\n SendEnv -TERM\n",
    );
    let own = ["ALL", "LANG", "LC_ALL", "MY_A", "MY_B", "MY_C", "TERM", "HOME"]
        .map(|name| (name.to_owned(), "own".to_owned()))
        .into();
    let names = |host: &str| -> Vec<String> {
        config.resolve(host).environment(&own).into_iter().map(|(name, value)| format!("{name}={value}")).collect()
    };
    assert_eq!(names("a"), ["ALL=own", "MY_A=own", "MY_C=own", "X=1", "MY_B=set"]);
    assert_eq!(names("b"), ["ALL=own", "Y=2"], "never the locale, for what gsctl reads must be in one language");
}

#[test]
fn algorithms_that_leave_none_are_the_matter_of_their_hosts_only() {
    let (home, config) = config("Host a\n Ciphers no-such\nHost b\n Ciphers aes256-ctr\nHost *\n Ciphers nor-this\n");
    let file = home.path().join(".ssh/config");
    let said = config.resolve("a").impossible.unwrap();
    let start =
        format!("ssh config `{}`, line 2: `Ciphers` leaves none that gsctl has in `no-such`; it has ", file.display());
    assert!(said.to_string().starts_with(&start), "{said}");
    assert_eq!(config.resolve("b").impossible, None);
    assert_eq!(config.resolve("c").impossible.unwrap().origin.to_string(), format!("{}:6", file.display()));
}
