# The words for people. Everything behind them is in `cargo xtask` and works without make as well.
#
#   make demo                 a cluster of three nodes that fails over, told; no root, no network, nothing left behind
#                             (KEEP=1: it runs on, to play with)
#   make test                 everything that must be true before a change lands (PROFILE=dev: the lab runs programs that are built already)
#   make bench                speed and memory, as tables (QUICK=1: a short run)
#   make run                  the daemon in the foreground, as an ordinary user (RECORDING=FILE: it follows a recording)
#   make install DESTDIR=...  programs, units, configuration (COMPAT=1: also under the names of drbd-reactor)
#   make deb                  a Debian package of that in target/deb

SHELL = /bin/sh
CARGO ?= cargo
INSTALL ?= install
DESTDIR ?=
BINDIR ?= /usr/bin
SBINDIR ?= /usr/sbin
LIBEXECDIR ?= /usr/libexec/storage-reactor
OLD_LIBEXECDIR ?= /usr/libexec/drbd-reactor
SYSCONFDIR ?= /etc
UNITDIR ?= /lib/systemd/system
SYSUSERSDIR ?= /usr/lib/sysusers.d
TMPFILESDIR ?= /usr/lib/tmpfiles.d
# What journalctl -x says of notices.
CATALOGDIR ?= /usr/lib/systemd/catalog
DOCDIR ?= /usr/share/doc/storage-reactor
OLD_DOCDIR ?= /usr/share/doc/drbd-reactor
COMPLETIONSDIR ?= /usr/share/bash-completion/completions
ZSHDIR ?= /usr/share/zsh/vendor-completions
FISHDIR ?= /usr/share/fish/vendor_completions.d
# Where net-snmp looks for names.
MIBSDIR ?= /usr/share/snmp/mibs
# What other programs are given: rules for Prometheus, a dashboard for Grafana.
DATADIR ?= /usr/share/storage-reactor
MANDIR ?= /usr/share/man
# The library for programs in C, and the module of Python over it.
LIBDIR ?= /usr/lib
INCLUDEDIR ?= /usr/include
PYTHONDIR ?= /usr/lib/python3/dist-packages
# What takes names and debug information out of the installed programs; empty = they stay in.
STRIP ?= strip
RUN = target/run
# Cargo's profile of what is installed, and its folder.
PROFILE ?= release
# Where files are written before they are installed.
GENERATED ?= target
# Units that need no other path.
UNITS_AS_THEY_ARE = storage-reactor-services.target storage-reactor-standby@.target storage-reactor-command@.service
LIBRARY = libreactor_storage_c.so
PROGRAMS = target/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))

# Whether drbd-reactor.service is that of drbd-reactor: a file, and not ours.
THEIR_UNIT = test -e "$(DESTDIR)$(UNITDIR)/drbd-reactor.service" -a ! -L "$(DESTDIR)$(UNITDIR)/drbd-reactor.service" && \
    ! grep -qs "^Description=Storage Reactor" "$(DESTDIR)$(UNITDIR)/drbd-reactor.service"
# The name of the unit's file; the other name is a link to it. Tools that look for drbd-reactor.service in systemd's list find a unit by the
# first only, and only that can be enabled.
UNIT = $(if $(COMPAT),drbd-reactor,storage-reactor)
OTHER_UNIT = $(if $(COMPAT),storage-reactor,drbd-reactor)

.PHONY: all demo test bench run build deb install names-are-free rust
all: build

rust:
	@command -v $(CARGO) >/dev/null || { echo "cargo not found: a current stable Rust is needed (Debian 12's own is too old), see README.md"; exit 1; }
	@$(CARGO) metadata --no-deps --format-version 1 >/dev/null || { echo "this Rust cannot read the project: $$($(CARGO) --version); a current stable one is needed"; exit 1; }

demo: rust
	@echo "building (the first time this takes a few minutes) ..."
	@$(CARGO) build --quiet -p reactord -p reactorctl -p reactor-sim --bins
	@target/debug/demo $(if $(KEEP),--keep)

test: rust
	@$(CARGO) xtask ci

bench: rust
	@$(CARGO) build --quiet --release --bin reactord --bin reactorctl --bin bench --bin stub-drbdsetup --bin stub-handler --bin mock-systemd
	@target/release/bench $(if $(QUICK),--quick)

run: rust
	@mkdir -p $(RUN)/run $(RUN)/state $(RUN)/units
	@sed "s|@DIR@|$(CURDIR)/$(RUN)|" example/run.toml.in > $(RUN)/reactord.toml && chmod 600 $(RUN)/reactord.toml
	$(CARGO) run --bin reactord -- --config $(RUN)/reactord.toml --allow-tty $(if $(RECORDING),--play $(RECORDING))

build: rust
	$(CARGO) build --profile $(PROFILE) --locked --bin reactord --bin reactorctl --bin prpt --bin reactor-helper --bin ocf-rs-wrapper
	$(CARGO) build --profile $(PROFILE) --locked -p reactor-storage-c --lib

deb: rust
	@$(CARGO) xtask deb --profile $(PROFILE)

# With COMPAT=1 a file that a package of drbd-reactor has put there is an error: it is that package's to remove. Without, it stays as it is.
names-are-free:
ifneq ($(COMPAT),)
	@for file in $(SBINDIR)/drbd-reactor $(SBINDIR)/drbd-reactorctl $(OLD_LIBEXECDIR)/ocf-rs-wrapper; do \
	    if test -e "$(DESTDIR)$$file" -a ! -L "$(DESTDIR)$$file"; then \
	        echo "$$file belongs to drbd-reactor: remove its package first (docs/compatibility.md)"; exit 1; \
	    fi; \
	done
	@if $(THEIR_UNIT); then \
	    echo "$(UNITDIR)/drbd-reactor.service belongs to drbd-reactor: remove its package first (docs/compatibility.md)"; exit 1; \
	fi
	@if grep -qs "$(OLD_LIBEXECDIR)/" "$(DESTDIR)$(UNITDIR)/ocf.rs@.service"; then \
	    echo "$(UNITDIR)/ocf.rs@.service belongs to drbd-reactor: remove its package first (docs/compatibility.md)"; exit 1; \
	fi
endif

install: build names-are-free
	$(INSTALL) -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(SBINDIR) $(DESTDIR)$(LIBEXECDIR) $(DESTDIR)$(UNITDIR) $(DESTDIR)$(SYSUSERSDIR) $(DESTDIR)$(TMPFILESDIR)
	$(INSTALL) -d $(DESTDIR)$(DOCDIR)/example $(DESTDIR)$(SYSCONFDIR)
	$(INSTALL) -d -m 0750 $(DESTDIR)$(SYSCONFDIR)/storage-reactor.d
	$(INSTALL) -m 0750 $(PROGRAMS)/reactord $(DESTDIR)$(SBINDIR)/reactord
	$(INSTALL) -m 0755 $(PROGRAMS)/reactorctl $(DESTDIR)$(SBINDIR)/reactorctl
	$(INSTALL) -m 0755 $(PROGRAMS)/prpt $(DESTDIR)$(BINDIR)/prpt
	$(INSTALL) -m 0755 $(PROGRAMS)/reactor-helper $(DESTDIR)$(LIBEXECDIR)/reactor-helper
	$(INSTALL) -m 0750 $(PROGRAMS)/ocf-rs-wrapper $(DESTDIR)$(LIBEXECDIR)/ocf-rs-wrapper
ifneq ($(STRIP),)
	$(STRIP) --strip-all $(DESTDIR)$(SBINDIR)/reactord $(DESTDIR)$(SBINDIR)/reactorctl $(DESTDIR)$(BINDIR)/prpt \
	    $(DESTDIR)$(LIBEXECDIR)/reactor-helper $(DESTDIR)$(LIBEXECDIR)/ocf-rs-wrapper
endif
	$(INSTALL) -d $(DESTDIR)$(LIBDIR) $(DESTDIR)$(INCLUDEDIR) $(DESTDIR)$(PYTHONDIR)
	# Programs name the first of the two, and are built with the second.
	$(INSTALL) -m 0644 $(PROGRAMS)/$(LIBRARY) $(DESTDIR)$(LIBDIR)/$(LIBRARY).0
	ln -sf $(LIBRARY).0 $(DESTDIR)$(LIBDIR)/$(LIBRARY)
ifneq ($(STRIP),)
	$(STRIP) --strip-unneeded $(DESTDIR)$(LIBDIR)/$(LIBRARY).0
endif
	$(INSTALL) -m 0644 crates/reactor-storage-c/include/reactor_storage.h $(DESTDIR)$(INCLUDEDIR)/reactor_storage.h
	$(INSTALL) -m 0644 crates/reactor-storage-c/python/reactor_storage.py $(DESTDIR)$(PYTHONDIR)/reactor_storage.py
	@mkdir -p $(GENERATED)
	sed "s|/usr/sbin/|$(SBINDIR)/|g" dist/storage-reactor.service > $(GENERATED)/storage-reactor.service
	for unit in $(UNITS_AS_THEY_ARE); do $(INSTALL) -m 0644 "dist/$$unit" "$(DESTDIR)$(UNITDIR)/$$unit" || exit 1; done
	# What others have written calls the daemon by the old name: systemctl reload drbd-reactor, for example.
	@if $(THEIR_UNIT); then \
	    echo "note: drbd-reactor.service stays as drbd-reactor's package has it; install again when that is removed (docs/compatibility.md)"; \
	else \
	    rm -f "$(DESTDIR)$(UNITDIR)/$(OTHER_UNIT).service" && ln -s $(UNIT).service "$(DESTDIR)$(UNITDIR)/$(OTHER_UNIT).service"; \
	fi
	@rm -f $(DESTDIR)$(UNITDIR)/$(UNIT).service
	$(INSTALL) -m 0644 $(GENERATED)/storage-reactor.service $(DESTDIR)$(UNITDIR)/$(UNIT).service
	$(INSTALL) -d $(DESTDIR)$(COMPLETIONSDIR) $(DESTDIR)$(ZSHDIR) $(DESTDIR)$(FISHDIR) $(DESTDIR)$(MANDIR)/man1 $(DESTDIR)$(MANDIR)/man5
	$(INSTALL) -d $(DESTDIR)$(MIBSDIR) $(DESTDIR)$(CATALOGDIR)
	$(INSTALL) -m 0644 dist/storage-reactor.catalog $(DESTDIR)$(CATALOGDIR)/
	$(INSTALL) -m 0644 dist/STORAGE-REACTOR-DRBD-MIB.txt $(DESTDIR)$(MIBSDIR)/
	$(INSTALL) -d $(DESTDIR)$(DATADIR)/prometheus $(DESTDIR)$(DATADIR)/grafana
	$(INSTALL) -m 0644 dist/grafana/storage-reactor.json $(DESTDIR)$(DATADIR)/grafana/
	$(INSTALL) -m 0644 dist/prometheus/storage-reactor.rules.yml $(DESTDIR)$(DATADIR)/prometheus/
	$(INSTALL) -m 0644 dist/completion/reactorctl.bash $(DESTDIR)$(COMPLETIONSDIR)/reactorctl
	$(INSTALL) -m 0644 dist/completion/_reactorctl $(DESTDIR)$(ZSHDIR)/_reactorctl
	$(INSTALL) -m 0644 dist/completion/reactorctl.fish $(DESTDIR)$(FISHDIR)/reactorctl.fish
	$(CARGO) xtask man $(GENERATED)/man
	$(INSTALL) -m 0644 $(GENERATED)/man/reactor*.1 $(GENERATED)/man/prpt*.1 $(DESTDIR)$(MANDIR)/man1
	$(INSTALL) -m 0644 $(GENERATED)/man/storage-reactor.*.5 $(DESTDIR)$(MANDIR)/man5
	# Not enabled: whoever wants to hear of it each night does that.
	sed "s|/usr/sbin/|$(SBINDIR)/|g" dist/storage-reactor-doctor.service > $(GENERATED)/storage-reactor-doctor.service
	$(INSTALL) -m 0644 $(GENERATED)/storage-reactor-doctor.service $(DESTDIR)$(UNITDIR)/storage-reactor-doctor.service
	$(INSTALL) -m 0644 dist/storage-reactor-doctor.timer $(DESTDIR)$(UNITDIR)/storage-reactor-doctor.timer
	@if grep -qs "$(OLD_LIBEXECDIR)/" "$(DESTDIR)$(UNITDIR)/ocf.rs@.service"; then \
	    echo "note: ocf.rs@.service stays as drbd-reactor's package has it; install again when that is removed (docs/compatibility.md)"; \
	else \
	    sed "s|/usr/libexec/storage-reactor/|$(LIBEXECDIR)/|g" "dist/ocf.rs@.service" > "$(GENERATED)/ocf.rs@.service" && \
	    $(INSTALL) -m 0644 "$(GENERATED)/ocf.rs@.service" "$(DESTDIR)$(UNITDIR)/ocf.rs@.service"; \
	fi
	$(INSTALL) -m 0644 dist/storage-reactor.sysusers $(DESTDIR)$(SYSUSERSDIR)/storage-reactor.conf
	$(INSTALL) -m 0644 dist/storage-reactor.tmpfiles $(DESTDIR)$(TMPFILESDIR)/storage-reactor.conf
	# A configuration that is there belongs to the administrator.
	test -e $(DESTDIR)$(SYSCONFDIR)/storage-reactor.toml || \
	    $(INSTALL) -m 0640 dist/storage-reactor.toml $(DESTDIR)$(SYSCONFDIR)/storage-reactor.toml
	$(INSTALL) -d $(DESTDIR)$(DOCDIR)/docs
	$(INSTALL) -m 0644 README.md ARCHITECTURE.md CHANGELOG.md SECURITY.md LICENSE $(DESTDIR)$(DOCDIR)
	$(INSTALL) -m 0644 docs/* $(DESTDIR)$(DOCDIR)/docs
	$(INSTALL) -m 0644 example/*.toml example/*.path example/*.service $(DESTDIR)$(DOCDIR)/example
	$(INSTALL) -m 0755 example/*.sh $(DESTDIR)$(DOCDIR)/example
ifneq ($(COMPAT),)
	ln -sf reactord $(DESTDIR)$(SBINDIR)/drbd-reactor
	ln -sf reactorctl $(DESTDIR)$(SBINDIR)/drbd-reactorctl
	$(INSTALL) -d $(DESTDIR)$(OLD_LIBEXECDIR) $(DESTDIR)$(UNITDIR)/storage-reactor.service.d $(DESTDIR)$(OLD_DOCDIR)/examples
	$(INSTALL) -d -m 0750 $(DESTDIR)$(SYSCONFDIR)/drbd-reactor.d
	test -e $(DESTDIR)$(SYSCONFDIR)/drbd-reactor.toml || \
	    $(INSTALL) -m 0640 example/drbd-reactor.toml $(DESTDIR)$(SYSCONFDIR)/drbd-reactor.toml
	# Where the packages of drbd-reactor have them: Debian's below examples, those for RPM beside it.
	$(INSTALL) -m 0644 example/drbd-reactor-reload.path example/drbd-reactor-reload.service example/drbd-reactor.toml $(DESTDIR)$(OLD_DOCDIR)/examples
	$(INSTALL) -m 0755 example/on-no-quorum-io-error.sh $(DESTDIR)$(OLD_DOCDIR)/examples
	ln -sf examples/drbd-reactor-reload.path examples/drbd-reactor-reload.service $(DESTDIR)$(OLD_DOCDIR)
	ln -sf $(LIBEXECDIR)/ocf-rs-wrapper $(DESTDIR)$(OLD_LIBEXECDIR)/ocf-rs-wrapper
	# As drbd-reactor names them.
	$(INSTALL) -m 0644 $(GENERATED)/man/drbd-reactorctl*.1 $(DESTDIR)$(MANDIR)/man1
	ln -sf reactord.1 $(DESTDIR)$(MANDIR)/man1/drbd-reactor.1
	for page in toml promoter umh prometheus agentx debugger; do \
	    ln -sf storage-reactor.$$page.5 $(DESTDIR)$(MANDIR)/man5/drbd-reactor.$$page.5 || exit 1; \
	done
	$(INSTALL) -m 0644 dist/drbd-reactorctl.bash-completion $(DESTDIR)$(COMPLETIONSDIR)/drbd-reactorctl
	sed "s|/usr/sbin/|$(SBINDIR)/|g" dist/drbd-reactor.conf > $(GENERATED)/drbd-reactor.conf
	$(INSTALL) -m 0644 $(GENERATED)/drbd-reactor.conf $(DESTDIR)$(UNITDIR)/storage-reactor.service.d/drbd-reactor.conf
endif
