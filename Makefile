# Every target installs what it needs first (.ci/packages says what) and works in a fresh clone.
SHELL = /bin/sh
SWIFT = swift
PREFIX = /usr/local
DESTDIR =

RELEASE = .build/release
PROGRAMS = cvmfs_ducc ducc-follow
DOCDIR = $(DESTDIR)$(PREFIX)/share/doc/ducc
SHAREDIR = $(DESTDIR)$(PREFIX)/share/ducc
LIBDIR = $(DESTDIR)$(PREFIX)/lib

.DEFAULT_GOAL = help
.PHONY: help release demo test test-long bench install install-files format lint clean

help: ## this list
	@echo "make TARGET, with TARGET one of:"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1	\2/p' Makefile | expand -t 13

release: ## the two programs, in .build/release
	@.ci/packages build
	$(SWIFT) build -c release --static-swift-stdlib

demo: ## converts a real image and follows it; KEEP=1 and IMAGE=… work
	@.ci/packages build demo
	@$(MAKE) --no-print-directory release
	@IMAGE='$(IMAGE)' KEEP='$(KEEP)' .ci/demo

test: ## all tests
	@.ci/packages build test
	@$(MAKE) --no-print-directory release
	@.ci/test ci

test-long: ## all tests, with many more rounds of the random ones
	@.ci/packages build test
	@$(MAKE) --no-print-directory release
	@.ci/test long

bench: ## how fast, beside skopeo + umoci and plain C
	@.ci/packages build bench
	@$(MAKE) --no-print-directory release
	@Tests/Benchmarks/run $(BENCH)

install: release install-files ## programs, consumers, units and documents, below PREFIX=/usr/local and DESTDIR=

# What is built already, from RELEASE.
install-files:
	install -d '$(DESTDIR)$(PREFIX)/bin' '$(SHAREDIR)' '$(DOCDIR)'
	for program in $(PROGRAMS); do install -m 755 "$(RELEASE)/$$program" '$(DESTDIR)$(PREFIX)/bin/' || exit; done
	cp -R consumers logrotate '$(SHAREDIR)/'
	rm -rf '$(SHAREDIR)'/consumers/*/.build* '$(SHAREDIR)'/consumers/*/Package.resolved
	install -m 644 LICENSE README.md CHANGELOG.md '$(DOCDIR)'
	'$(RELEASE)/cvmfs_ducc' notification-schema >'$(SHAREDIR)/notification.schema.json'
	'$(RELEASE)/ducc-follow' configuration-schema >'$(SHAREDIR)/follow.schema.json'
	'$(RELEASE)/ducc-follow' configuration-reference >'$(DOCDIR)/follow.yaml'
	chmod -R u=rwX,go=rX '$(SHAREDIR)' '$(DOCDIR)'
	install -d '$(LIBDIR)/systemd/system' '$(LIBDIR)/sysusers.d' '$(LIBDIR)/tmpfiles.d'
	for unit in ducc.service ducc-follow.service; do \
		sed 's|/usr/local/|$(PREFIX)/|g' "systemd/$$unit" >'$(LIBDIR)/systemd/system/'"$$unit" || exit; \
		chmod 644 '$(LIBDIR)/systemd/system/'"$$unit" || exit; \
	done
	install -m 644 systemd/ducc.sysusers '$(LIBDIR)/sysusers.d/ducc.conf'
	install -m 644 systemd/ducc.tmpfiles '$(LIBDIR)/tmpfiles.d/ducc.conf'

format: ## formats the Swift code
	@.ci/packages build
	$(SWIFT) format --in-place --parallel --recursive Sources Tests consumers Package.swift

lint: ## checks the form of Swift, shell and Python
	@.ci/packages build lint
	@.ci/lint

clean: ## removes what was built
	rm -rf .build .build-test .build-emitter
