# The two that matter: `make demo` and `make test`. Each installs what it needs on Debian 12.

CARGO ?= cargo

.PHONY: demo test soak bench fuzz lint build clean

## boot real firmware in virtual machines, and see it
demo:
	scripts/setup.sh demo
	$(CARGO) build --release --locked -p lanboot
	scripts/guest.sh
	scripts/demo.sh

## all tests: unit, namespaces, virtual machines; needs root
test:
	scripts/setup.sh test
	scripts/guest.sh
	$(CARGO) test --locked --workspace --no-fail-fast

## through a thousand kills of the program amid allocations, with all that was acknowledged looked for after each; needs root
soak:
	scripts/setup.sh test
	$(CARGO) test --locked -p lanboot --test netns through_a_thousand -- --ignored --nocapture

## measure beside dnsmasq, Kea, nginx and others; needs root
bench:
	scripts/setup.sh bench
	scripts/bench.sh

## feed each parser and the DHCP core inputs that libFuzzer makes up: make fuzz RUNS=10000000; docs/fuzzing.md
fuzz:
	scripts/fuzz.sh -n $(or $(RUNS),1000000)

## formatting and lints, as CI wants them
lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

build:
	scripts/setup.sh build
	$(CARGO) build --release --locked -p lanboot

clean:
	$(CARGO) clean
