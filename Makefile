# The words that people and CI use. `make demo` shows gsctl at work, `make test` is the judge.

CARGO ?= cargo
# What the lab of real sshd nodes and the checks need.
# Debian makes a cluster of its own where it installs PostgreSQL. It does not matter: the tests have their own data
# directories, sockets and addresses.
INITDB := $(lastword /usr/lib/postgresql/15/bin/initdb $(sort $(wildcard /usr/lib/postgresql/*/bin/initdb)))
TOOLS := /usr/sbin/sshd ssh ssh-keygen busybox dash unshare nsenter setpriv perl cc make tcsh fish zsh groff $(INITDB)
PACKAGES := openssh-server openssh-client busybox dash util-linux perl gcc make tcsh fish zsh groff-base postgresql
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
# Several gsctl at once, as docs/scale.md has it.
TOOLS += parallel
PACKAGES += parallel
# Servers other than OpenSSH's; paramiko has no program to look for.
TOOLS += dropbear dropbearkey tinysshd tinysshd-makekey
PACKAGES += dropbear-bin tinysshd python3-paramiko

.PHONY: demo screenshot soak exits cuts differential big-files sdr-matrix bench peers test lint unit lab docs tools build clean

build: tools
	$(CARGO) build --release --locked

demo: tools
	$(CARGO) build --locked --bin gsctl --example lab --example standin
	sh tests/lab/demo.sh

# The picture of README. Only when the page has changed: no two pictures are the same.
screenshot: tools
	$(CARGO) build --locked --bin gsctl --example lab --example standin
	sh tests/lab/screenshot.sh

test: tools lint docs unit lab

lint: tools
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets --locked -- -D warnings

docs: tools
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --no-deps --locked --lib --document-private-items
	$(CARGO) test --doc --locked

unit: tools
	$(CARGO) test --locked --lib

# Lab tests wait more than they compute: more of them at once than there are cores.
lab: tools
	$(CARGO) build --locked --bin gsctl --examples
	$(CARGO) test --locked --test it -- --test-threads $$(( 2 * $$(nproc) ))

# An hour (SOAK_MINUTES) of simulated fleets with random faults: every report is held against what the fleet did.
# SOAK_SEED repeats what went wrong. Optimised, for the sake of the reports' many bytes.
soak: tools
	$(CARGO) build --locked --profile profiling --bin gsctl --example fleet
	$(CARGO) test --locked --profile profiling --test it -- --ignored --nocapture --exact fleet::soak_for_long

# 5,000 (CUTS) connections that are cut, silenced or reset at a byte; the nodes' disks and processes judge what gsctl says.
# CUTS_SEED repeats a series. An hour.
cuts: tools
	$(CARGO) build --locked --bin gsctl --examples
	$(CARGO) test --locked --test it -- --ignored --nocapture --exact cuts::thousands_of_cuts_make_no_success_of_what_was_not_done

# Streaming disaster recovery: killed in each step of both sides, under gs_sdr and under gsctl, and gone on with by either. A
# quarter of an hour.
sdr-matrix: tools
	$(CARGO) build --locked --bin gsctl --examples
	$(CARGO) test --locked --test it -- --ignored --nocapture panweidb::

# gsctl beside its peers on a quiet machine: forty minutes. Writes docs/benchmarks.md; BENCH holds options, such as
# `--rounds 1 --scale 0.1 --out /tmp/benchmarks.md`.
bench: tools
	$(CARGO) build --release --locked --bin gsctl --example bench --example bare --example fleet --example lab
	target/release/examples/bench $(BENCH)

# Peers that no distribution has; those that Debian has are the packages pssh, pdsh, clustershell and ansible-core. What is not
# installed is named in the tables.
peers:
	-python3 -m venv target/peers/venv && target/peers/venv/bin/pip install -q parallel-ssh
	-$(CARGO) install bssh --version 2.2.3 --locked --root target/peers

# 10,000 (EXITS) short runs on a busy machine: each ends with its status, and none by a signal.
exits: tools
	$(CARGO) build --locked --bin gsctl --examples
	$(CARGO) test --locked --test it -- --ignored --nocapture --exact exit_status::thousands_of_short_runs_end_with_their_status

# ssh_config and known_hosts beside the real ssh: thousands of inputs (DIFFERENTIAL, DIFFERENTIAL_SEED repeats one). What
# differs by intention is in docs/differences.md.
differential: tools
	$(CARGO) build --locked --bin gsctl --examples
	DIFFERENTIAL=$${DIFFERENTIAL:-3000} $(CARGO) test --locked --test it -- --include-ignored --nocapture differential

# 1 GB (BIG_FILES_MB) to and from 20 nodes over connections that break at random (BIG_FILES_SEED repeats one). Takes 60 times
# that on the disk for /tmp.
big-files: tools
	$(CARGO) build --locked --bin gsctl --examples
	$(CARGO) test --locked --test it -- --ignored --nocapture --exact big_files::a_gigabyte_survives_cuts_at_random_points

# Installs what is missing where it can (apt, as root), and otherwise prints the one line to run.
tools:
	@missing=; for tool in $(TOOLS); do command -v $$tool >/dev/null 2>&1 || missing="$$missing $$tool"; done; \
	[ -z "$$missing" ] && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
		echo "installing for:$$missing"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $(PACKAGES); \
	else \
		echo "missing:$$missing"; \
		echo "run: sudo apt-get install -y $(PACKAGES)"; \
		exit 1; \
	fi

clean:
	$(CARGO) clean
