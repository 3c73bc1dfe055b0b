# The two that a newcomer needs are `run` and `test`; each sets up what is missing.

.DEFAULT_GOAL := help
.PHONY: help setup run test build lint unit e2e crash model fuzz mutants bench load screenshots clean

help: ## Show this
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

setup: ## Install what is missing
	@scripts/setup test

run: ## Set up, build, and serve the demo (ARGS="--port 4000" passes options)
	@scripts/setup
	@scripts/build
	@target/release/raxx-console demo $(ARGS)

test: ## Set up, and run every check
	@scripts/setup test
	@scripts/lint
	@scripts/unit
	@scripts/build
	@scripts/e2e

build: ## Build target/release/raxx-console, with everything inside
	@scripts/setup
	@scripts/build

lint: ## Check form and style: Rust, shell, workflows, TypeScript
	@scripts/setup test
	@scripts/lint

unit: ## Run the tests of domain, server, action and workflows
	@scripts/setup test
	@scripts/unit

model: ## Hold the console against its model over 10,000 random sequences (MODEL_CASES, MODEL_SEED)
	@scripts/setup test
	@scripts/model

e2e: ## Run the browser's tests against the release binary
	@scripts/setup test
	@scripts/build
	@scripts/e2e

crash: ## Kill the release binary 1,200 times, and look for what was lost (KILLS=50 is a short one)
	@scripts/setup test
	@scripts/build
	@scripts/crash $(KILLS)

bench: ## Measure: what a poll costs, what a page weighs
	@scripts/setup
	@scripts/build
	@scripts/bench

load: ## Load it for two minutes, and see that nothing is lost (ARGS="--seconds 30" passes options)
	@scripts/setup
	@scripts/load $(ARGS)

fuzz: ## Fuzz what strangers can send (MINUTES=60 each, JOBS=1 at once)
	@scripts/fuzz

mutants: ## List changes of the code that no test notices (hours; ROOMS="pure logs" for some)
	@scripts/setup test
	@scripts/mutants $(ROOMS)

screenshots: ## Draw every page into target/screenshots
	@scripts/setup test
	@scripts/build
	@scripts/e2e --project screenshots

clean: ## Remove what was built, and keep the tools
	cargo clean
	rm -rf target/site target/web
