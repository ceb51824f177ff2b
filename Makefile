# The words that people and CI use. `make demo` shows gsctl at work, `make test` is the judge.
#
# `cargo test` and `cargo build --bins --test it` take the whole workspace, and so the same features of each dependency: what one
# of them has compiled, the next one finds.

CARGO ?= cargo

# To build: a compiler for Rust, one for C (OpenSSL and zlib are built from source), make and perl.
BUILD_TOOLS := $(CARGO) cc make perl
BUILD_PACKAGES := gcc libc6-dev make perl
# The demo has real sshd nodes. As root they are in namespaces of their own, which util-linux makes.
DEMO_TOOLS := $(BUILD_TOOLS) /usr/sbin/sshd ssh ssh-keygen unshare nsenter
DEMO_PACKAGES := $(BUILD_PACKAGES) openssh-server openssh-client util-linux
# What the lab of real sshd nodes and the checks need.
# Debian makes a cluster of its own where it installs PostgreSQL. It does not matter: the tests have their own data
# directories, sockets and addresses.
INITDB := $(lastword /usr/lib/postgresql/15/bin/initdb $(sort $(wildcard /usr/lib/postgresql/*/bin/initdb)))
TOOLS := $(DEMO_TOOLS) busybox dash setpriv tcsh fish zsh groff $(INITDB)
PACKAGES := $(DEMO_PACKAGES) busybox dash tcsh fish zsh groff-base postgresql
# The peer that `gsctl pssh` is compared with, and what `prsync` runs.
TOOLS += parallel-ssh rsync
PACKAGES += pssh rsync
# A browser for the HTML page, terminals of any size.
TOOLS += chromium tmux
PACKAGES += chromium tmux
# Commands as another user, on the lab's nodes.
TOOLS += sudo
PACKAGES += sudo
# Ansible's own reading of its inventories.
TOOLS += ansible-inventory
PACKAGES += ansible-core
# What other tools make of their own host files.
TOOLS += nodeset pdsh nodeattr
PACKAGES += clustershell pdsh genders
# Counts instructions.
TOOLS += valgrind
PACKAGES += valgrind
# Several gsctl at once, as docs/scale.md has it.
TOOLS += parallel
PACKAGES += parallel
# Servers other than OpenSSH's; paramiko has no program to look for.
TOOLS += dropbear dropbearkey tinysshd tinysshd-makekey
PACKAGES += dropbear-bin tinysshd python3-paramiko

# Installs what is missing where it can (apt, as root), and otherwise prints the one line to run: $(call need,TOOLS,PACKAGES)
need = @missing=; for tool in $(1); do command -v $$tool >/dev/null 2>&1 || missing="$$missing $$tool"; done; \
	case " $$missing " in *" $(CARGO) "*) \
		echo "missing: $(CARGO), a Rust toolchain of at least $(MSRV): https://rustup.rs" >&2; exit 1;; esac; \
	[ -z "$$missing" ] && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
		echo "installing for:$$missing"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $(2); \
	else \
		echo "missing:$$missing"; \
		echo "run: sudo apt-get install -y $(2)"; \
		exit 1; \
	fi
MSRV := $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)

.PHONY: demo screenshot soak exits cuts differential big-files sdr-matrix bench bench-quick profile peers test lint unit lab docs announce tools build-tools demo-tools build install uninstall install-test dist dist-test clean

# Said by `gsctl --version -v`.
COMMIT = $(shell git describe --always --dirty --abbrev=40 --exclude='*' 2>/dev/null)

build: build-tools
	GSCTL_COMMIT=$(COMMIT) $(CARGO) build --release --locked -p gsctl

# Copies what `make build` built, and builds nothing itself: DESTDIR=, LINKS=pssh (links named as pssh and its siblings are),
# LINKS=pssh-om (what openGauss' OM calls: docs/pssh.md).
PREFIX ?= /usr/local
GSCTL ?= target/release/gsctl
install uninstall:
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' LINKS='$(LINKS)' GSCTL='$(GSCTL)' sh packaging/install.sh $@

# As an ordinary user, with whatever gsctl is built.
install-test: build-tools
	$(call need,zsh fish groff python3,zsh fish groff-base python3)
	sh tests/packaging/install.sh $(firstword $(wildcard $(GSCTL) target/debug/gsctl) $(GSCTL))

# What people install: target/dist/out. It says what it could not make here; DIST_STRICT=1 makes an error of that.
dist: build-tools
	$(call need,objdump python3,binutils python3-venv)
	GSCTL_COMMIT=$(COMMIT) DIST_STRICT='$(DIST_STRICT)' CARGO='$(CARGO)' sh packaging/dist.sh

# Installed into fresh roots, used there on the lab's nodes, and removed again; as root.
dist-test: tools
	$(call need,dpkg rpm,dpkg rpm)
	$(CARGO) build --locked --bins --test it
	CARGO='$(CARGO)' sh tests/packaging/dist.sh

demo: demo-tools
	$(CARGO) build --locked -p gsctl -p gsctl-lab -p gsctl-standin
	sh tests/lab/demo.sh

# The picture of README. Only when the page has changed: no two pictures are the same.
screenshot: tools
	$(CARGO) build --locked -p gsctl -p gsctl-lab -p gsctl-standin
	sh tests/lab/screenshot.sh

test: announce tools lint docs unit lab bench-quick

announce:
	@echo 'make test: formats, lints, documentation, unit tests, then the lab of real sshd nodes, then a count of instructions.'
	@echo 'Needs (installed with apt where you are root): $(PACKAGES)'
	@echo 'Takes twenty minutes on two quiet cores, eight of them to compile the first time; changes nothing outside target/ and /tmp.'

lint: tools
	$(CARGO) fmt --all --check
	$(CARGO) clippy --all-targets --locked -- -D warnings
	@if $(CARGO) deny --version >/dev/null 2>&1; then $(CARGO) deny --locked check bans licenses sources; \
	else echo 'cargo-deny is not installed: licences and sources of dependencies were not looked at'; fi

docs: tools
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --no-deps --locked --lib --examples --document-private-items
	$(CARGO) test --doc --locked

unit: tools
	$(CARGO) test --locked --lib

# Lab tests wait more than they compute: more of them at once than there are cores.
lab: tools
	$(CARGO) build --locked --bins --test it
	$(CARGO) test --locked --test it -- --test-threads $$(( 3 * $$(nproc) ))

# Instructions beside the bare loop's, which no load of the machine changes: more than 5 % above benches/quick.tsv is an error.
bench-quick: tools
	$(CARGO) build --locked --bins --test it
	sh benches/quick.sh target/debug

# An hour (SOAK_MINUTES) of simulated fleets with random faults: every report is held against what the fleet did.
# SOAK_SEED repeats what went wrong. Optimised, for the sake of the reports' many bytes.
soak: tools
	$(CARGO) build --locked --profile profiling --bins --test it
	$(CARGO) test --locked --profile profiling --test it -- --ignored --nocapture --exact fleet::soak_for_long

# 5,000 (CUTS) connections that are cut, silenced or reset at a byte; the nodes' disks and processes judge what gsctl says.
# CUTS_SEED repeats a series. An hour.
cuts: tools
	$(CARGO) build --locked --bins --test it
	$(CARGO) test --locked --test it -- --ignored --nocapture --exact cuts::thousands_of_cuts_make_no_success_of_what_was_not_done

# Streaming disaster recovery: killed in each step of both sides, under gs_sdr and under gsctl, and gone on with by either. A
# quarter of an hour.
sdr-matrix: tools
	$(CARGO) build --locked --bins --test it
	$(CARGO) test --locked --test it -- --ignored --nocapture panweidb::

# gsctl beside its peers on a quiet machine: a quarter of an hour. Writes docs/benchmarks.md; BENCH holds options, such as
# `--rounds 1 --scale 0.1 --out /tmp/benchmarks.md`.
bench: tools
	$(CARGO) build --release --locked -p gsctl -p gsctl-benches -p gsctl-fleet -p gsctl-lab
	target/release/bench $(BENCH)

# Where gsctl's time goes on 1 to 10,000 simulated hosts, as Markdown; perf is linux-perf's.
profile: build-tools
	$(call need,perf,linux-perf)
	$(CARGO) build --profile profiling --locked -p gsctl -p gsctl-fleet
	sh benches/profile.sh target/profiling $(HOSTS) >docs/profiles.md

# Peers that no distribution has; those that Debian has are the packages pssh, pdsh, clustershell and ansible-core. What is not
# installed is named in the tables.
peers:
	-python3 -m venv target/peers/venv && target/peers/venv/bin/pip install -q parallel-ssh
	-$(CARGO) install bssh --version 2.2.3 --locked --root target/peers

# 10,000 (EXITS) short runs on a busy machine: each ends with its status, and none by a signal.
exits: tools
	$(CARGO) build --locked --bins --test it
	$(CARGO) test --locked --test it -- --ignored --nocapture --exact exit_status::thousands_of_short_runs_end_with_their_status

# ssh_config and known_hosts beside the real ssh: thousands of inputs (DIFFERENTIAL, DIFFERENTIAL_SEED repeats one). What
# differs by intention is in docs/differences.md.
differential: tools
	$(CARGO) build --locked --bins --test it
	DIFFERENTIAL=$${DIFFERENTIAL:-3000} $(CARGO) test --locked --test it -- --include-ignored --nocapture differential

# 1 GB (BIG_FILES_MB) to and from 20 nodes over connections that break at random (BIG_FILES_SEED repeats one). Takes 60 times
# that on the disk for /tmp.
big-files: tools
	$(CARGO) build --locked --bins --test it
	$(CARGO) test --locked --test it -- --ignored --nocapture --exact big_files::a_gigabyte_survives_cuts_at_random_points

build-tools:
	$(call need,$(BUILD_TOOLS),$(BUILD_PACKAGES))

demo-tools:
	$(call need,$(DEMO_TOOLS),$(DEMO_PACKAGES))

tools:
	$(call need,$(TOOLS),$(PACKAGES))

clean:
	$(CARGO) clean
