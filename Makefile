# The interface for people. On Debian 12 with a Rust toolchain nothing else has to be installed first: the targets
# install the Debian packages that are missing (packaging/apt/*.txt).

.DEFAULT_GOAL := help
.PHONY: help run build docs-man package install test test-rust test-perl test-bench test-packaging test-packages test-systemd conformance bench lint fmt deps-run deps-test clean

EXAMPLE ?= examples/hello/app.pl
PROVE_JOBS ?= 2
SERVER := $(CURDIR)/target/debug/pagi-server

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

run: deps-run ## Build, and serve EXAMPLE (examples/hello/app.pl) on http://127.0.0.1:5000
	cargo build --release -p pagi-supervisor
	exec target/release/pagi-server $(EXAMPLE)

build: deps-run ## Build the release binaries target/release/pagi-server and target/release/pagictl
	cargo build --release -p pagi-supervisor

docs-man: deps-run ## Write manual pages to target/man and shell completions to target/completions
	cargo run --release -p pagi-manual -- target

package: deps-run ## Build .deb (or .rpm), chart, SBOM and, with a container engine, the image into target/package
	packaging/apt/install package
	packaging/build

install: deps-run ## Install below DESTDIR (packaging/install says what)
	packaging/compile
	packaging/install "$(DESTDIR)/"

test: deps-test test-rust test-perl test-bench test-packaging ## Run all tests

test-rust: ## Unit and end-to-end tests of the server
	cargo build --workspace
	if cargo nextest --version >/dev/null 2>&1; then cargo nextest run --workspace; else cargo test --workspace --no-fail-fast; fi

test-perl: ## Tests of the Perl library, in-process and through the server
	cargo build -p pagi-supervisor
	# What fails beside other tests is run once more alone: said in the output, and a second failure stands.
	cd perl-runtime && export PAGI_REQUIRE_SERVER=1 PAGI_SERVER=$(SERVER) && \
		{ prove --state=save -lr -j$(PROVE_JOBS) t || { echo 'Once more, alone, what failed:'; prove --state=failed -lv; }; }

test-bench: ## The benchmark harness: right answers, nothing about speed
	python3 -B -m unittest discover -s benches/tests
	benches/bench --check --peers none --ours $(SERVER)

test-packaging: ## What packages are made of: units, Dockerfiles, configurations, chart
	cargo build -p pagi-supervisor
	python3 -B -m unittest discover -s tests/packaging/everyday

test-packages: deps-test ## The packages themselves, on machines made for them (root, network, an hour)
	packaging/apt/install machines
	cargo build -p pagi-supervisor
	tests/packaging/run

test-systemd: deps-test ## The server under a real systemd: reloads, upgrades, crashes under load (root; network the first time)
	packaging/apt/install machines
	cargo build -p pagi-supervisor
	tests/systemd $(SERVER)

conformance: deps-test build ## The 517 cases of the Autobahn suite over ws and wss, and docs/conformance.md anew; see tests/autobahn
	tests/autobahn
	tests/autobahn --tls
	tests/conformance

tls-audit: deps-run ## Scan the server's TLS with sslyze (from PyPI) and testssl.sh
	packaging/apt/install test audit
	cargo build -p pagi-supervisor
	tests/tls-audit $(SERVER)

bench: deps-run ## Benchmarks against the peers that Debian has; see benches/README.md
	packaging/apt/install test bench
	cargo build --release -p pagi-supervisor
	benches/bench all

lint: ## Formatting and lints of all languages
	packaging/apt/install lint
	cargo fmt --check
	cargo clippy --workspace --all-targets -- -D warnings
	perlcritic --profile .perlcriticrc --quiet perl-runtime/lib

fmt: ## Format the Rust code
	cargo fmt

deps-run:
	@packaging/apt/install run

deps-test: deps-run
	@packaging/apt/install test

clean: ## Remove what was built
	cargo clean
