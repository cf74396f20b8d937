# make alone lists what there is.

GO ?= go
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
CYCLONEDX := github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0
GOSEC := github.com/securego/gosec/v2/cmd/gosec@v2.30.0
# Newer versions ask for a newer Go.
GORELEASER := github.com/goreleaser/goreleaser/v2@v2.15.1
ACTIONLINT := github.com/rhysd/actionlint/cmd/actionlint@v1.7.12

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Lines of Go have at most 140 bytes, a tab counted as one. Longer ones are left where they can't
# wrap: commands of go generate, tags of fields, JSON, and in these tests Python programs and records.
LONG_TEXTS := internal/attempt/record_test.go internal/testing/gotest/report_test.go internal/check/policy/judge_test.go \
	$(patsubst %,internal/local/training/%_test.go,container rest run vertex vertextune)

# The systems that people have; docs/install.md says what each is supported for.
SYSTEMS := linux darwin windows

.PHONY: check
check: ## look for faults without running anything: format, long lines, vet for three systems, staticcheck, go.mod
	@unformatted="$$(gofmt -l .)" || exit 1; \
	if [ -n "$$unformatted" ]; then echo "not formatted, gofmt -w mends it:"; echo "$$unformatted"; exit 1; fi
	@long="$$(find . -name '*.go' ! -path '*/testdata/*' ! -path '*/node_modules/*' $(LONG_TEXTS:%=! -path './%') \
		-exec env LC_ALL=C awk 'length > 140 && !/^\/\/go:generate |`json:"|[{][\\\\]?"/ { print FILENAME ":" FNR }' {} +)" || exit 1; \
	if [ -n "$$long" ]; then echo "lines of more than 140 bytes, wrap them at 120 columns:"; echo "$$long"; exit 1; fi
	@for os in $(SYSTEMS); do echo "GOOS=$$os $(GO) vet ./..."; GOOS=$$os $(GO) vet ./... || exit 1; done
	$(GO) run $(STATICCHECK) ./...
	$(GO) mod tidy -diff

.PHONY: test
test: ## run all tests, the longest packages first: no network, no account, Python 3 with venv
	$(GO) run ./internal/testing/gotest

.PHONY: memory
memory: ## run the tests that the race detector would falsify or make slow: of memory, and of broken backends
	$(GO) test -run 'Hostile|Allocates|Memory|Budget|BrokenBackends' ./internal/testing/contract ./internal/check/inspect ./pkg/jobspec ./internal/local ./internal/check/policy ./internal/check/pypkg \
		./internal/flow/watcher ./internal/flow/submitter ./internal/console/scalars

.PHONY: size
size: ## build the functions' binary as it is deployed, and say what each module adds; make test has a quicker build
	BUDGET_DEPLOYED=1 $(GO) test -count=1 -run TestBinary -v ./internal/testing/budget

.PHONY: cover
cover: ## say how much of each package the tests reach, with what the functions' own process runs
	@dir="$$(mktemp -d)"; trap 'rm -rf "$$dir"' EXIT; \
	$(GO) test -cover -coverpkg=./... ./cmd/... ./functions/... ./internal/... ./pkg/... . \
		-args -test.gocoverdir="$$dir" >"$$dir.log" 2>&1 || { cat "$$dir.log"; exit 1; }; \
	$(GO) tool covdata percent -i="$$dir" | sort; rm -f "$$dir.log"

.PHONY: run
run: ## run the drop testdata/drops/hello on this machine
	$(GO) run ./cmd/jobdrop run testdata/drops/hello

.PHONY: sim
sim: ## run the simulator for SIM_TIME (10m): lost and repeated events, crashes, frozen processes
	SIM_TIME=$${SIM_TIME:-10m} $(GO) test ./internal/testing/sim -run TestSim -v -timeout=24h

.PHONY: chaos
chaos: ## kill the functions and the whole stack under load, with claims as long as an installation's
	CHAOS_CALL_TIME=30s CHAOS_KILLS=$${CHAOS_KILLS:-20} CHAOS_DROPS=$${CHAOS_DROPS:-200} $(GO) test ./internal/local ./internal/cli -run 'TestChaos|TestKillsUnderLoad' -v -count=1 -timeout=1h

.PHONY: bench
bench: ## measure Submit beside plain functions and write docs/performance.md: BENCH="-runs=3 -- ./mine", npm
	$(GO) run ./internal/testing/bench $(BENCH)

# 25 events a second, 11 drops, are a tenth of what one process takes on.
.PHONY: soak
soak: ## send drops for SOAK_TIME (30m) at 11 a second, with faults: memory and goroutines must stay flat
	$(GO) run ./internal/testing/bench -soak -duration=$${SOAK_TIME:-30m} -rate=25 -unavailable=0.01 -redelivery=10s -programs=jobdrop -o ''

# Without a bound on it, go test spends most of its time on making one input smaller.
.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZ_TIME (1m) each: a line says what it tried; one that fails leaves its input in testdata
	@list="$$(mktemp)"; said="$$(mktemp)"; trap 'rm -f "$$list" "$$said"' EXIT; \
	$(GO) test -list '^Fuzz' ./... >"$$list" || { cat "$$list"; exit 1; }; \
	awk '/^Fuzz/ { targets[n++] = $$1 } /^ok/ { for (i = 0; i < n; i++) print $$2, targets[i]; n = 0 }' "$$list" | { \
	status=0; \
	while read -r package target; do \
		if $(GO) test "$$package" -run '^$$' -fuzz "^$$target\$$" -fuzztime "$${FUZZ_TIME:-1m}" -fuzzminimizetime=1x >"$$said" 2>&1 </dev/null; \
		then ran="$$(sed -n 's|^fuzz: elapsed: .*execs: \([0-9]*\).*new interesting: \([0-9]*\).*|\1 executions, \2 new interesting|p' "$$said" | tail -n 1)"; \
			echo "$$package $$target: $${ran:-0 executions, 0 new interesting}"; \
		else echo "$$package $$target: FAILED"; cat "$$said"; status=1; fi; \
	done; exit $$status; }

.PHONY: clients
clients: ## install what the Node client of docs/clients needs; its test is skipped without
	npm ci --prefix docs/clients/node --no-audit --no-fund

.PHONY: scale
scale: ## look at the console of 100,000 attempts and of a log of 1 GiB: calls, bytes, memory, times; some minutes, 3 GB
	$(GO) test ./internal/testing/browser -run '^$$' -bench Scale -v -timeout=1h

.PHONY: browser
browser: ## look at the console's pages in Chromium, which has to be there: npm; without this, the test is skipped
	npm ci --prefix internal/testing/browser --no-audit --no-fund
	$(GO) test ./internal/testing/browser -count=1 -v

.PHONY: clients-suites
clients-suites: ## run other people's tests on the local stack, SUITES="rclone node" or all: Go's module proxy, npm
	$(GO) run ./internal/testing/suites $(SUITES)

.PHONY: testdata
testdata: ## make the packages of testdata/drops from testdata/trainers
	$(GO) generate ./internal/testing/pack

# What the tests of a deployment use where it is there, in the order of their worth.
DEPLOY_TOOLS := terraform git gcloud python3

.PHONY: deploy-check
deploy-check: ## check what is deployed without an account: Terraform, builds, the packed functions
	@for tool in $(DEPLOY_TOOLS); do \
		command -v $$tool >/dev/null || echo "SKIPPED: $$tool is not on this machine, nor are the tests that use it run"; \
	done
	$(GO) mod verify
	@said="$$(mktemp)"; trap 'rm -f "$$said"' EXIT; \
	echo '$(GO) test -v . ./deploy/...'; \
	if $(GO) test -v . ./deploy/... >"$$said" 2>&1; then grep -E 'SKIPPED|^ok' "$$said"; else cat "$$said"; exit 1; fi

.PHONY: package
package: ## pack the source of the functions into out/, the same bytes each time
	@$(GO) run ./deploy/pack out

# What .goreleaser.yaml releases for.
TARGETS := $(foreach os,$(SYSTEMS),$(os)/amd64 $(os)/arm64)
RELEASE_FLAGS := -trimpath -buildvcs=false -ldflags='-s -w -buildid='

.PHONY: cross
cross: ## build the command line for each system and architecture it is released for, TARGETS="windows/amd64"
	@for target in $(TARGETS); do \
		echo "GOOS=$${target%/*} GOARCH=$${target#*/} $(GO) build ./cmd/jobdrop"; \
		CGO_ENABLED=0 GOOS=$${target%/*} GOARCH=$${target#*/} $(GO) build -o out/cross/ ./cmd/jobdrop || exit 1; \
	done; rm -r out/cross

.PHONY: man
man: ## write the manual pages into out/man, with the date of the last commit
	$(GO) run ./cmd/jobdrop man --date "$$(git log -1 --format=%cs)" out/man

.PHONY: release-check
release-check: ## check .goreleaser.yaml and examples/ci by their own tools, from Go's module proxy
	$(GO) run $(ACTIONLINT) -shellcheck= examples/ci/github.yml .github/workflows/check.yml
	$(GO) run $(GORELEASER) check

.PHONY: reproducible
reproducible: ## build a release's binary twice, in other folders, without a cache: the same bytes
	@dir="$$(mktemp -d)"; trap 'chmod -R u+w "$$dir"; rm -rf "$$dir"' EXIT; \
	for i in one another; do \
		git clone -q --shared . "$$dir/$$i/source" || exit 1; \
		(cd "$$dir/$$i/source" && GOFLAGS= GOCACHE="$$dir/$$i/cache" CGO_ENABLED=0 $(GO) build $(RELEASE_FLAGS) -o "$$dir/$$i/jobdrop" ./cmd/jobdrop) || exit 1; \
		rm -rf "$$dir/$$i/cache"; \
	done; \
	cmp "$$dir/one/jobdrop" "$$dir/another/jobdrop" && sha256sum <"$$dir/one/jobdrop"

.PHONY: licences
licences: ## list the licences of what the functions link, in docs/licences.md
	$(GO) run ./deploy/licences >docs/licences.md.new && mv docs/licences.md.new docs/licences.md

.PHONY: sbom
sbom: ## write out/sbom.json and out/sbom-jobdrop.json, CycloneDX, of what the functions and the command line link
	@mkdir -p out
	GOOS=linux GOARCH=amd64 CGO_ENABLED=0 $(GO) run $(CYCLONEDX) app -json -licenses -main cmd/server -output out/sbom.json .
	GOOS=linux GOARCH=amd64 CGO_ENABLED=0 $(GO) run $(CYCLONEDX) app -json -licenses -main cmd/jobdrop -output out/sbom-jobdrop.json .

# What runs in the cloud is held to every rule; exceptions stand in the code. What
# runs on somebody's own machine, as them, is not held to some:
#   G107 G204 G702       it calls what the user, or a test, names: that is its purpose
#   G301 G302 G306       its folders and files are for the user's other programs, too
#   G304 G703            it opens what the user names
#   G104 G115            errors of Close after reading; numbers that Google's APIs bound
#   G401 G501            MD5 is a checksum of Cloud Storage's API
#   G404                 chance, not secrets
#   G705                 it answers programs, as JSON
OWN_MACHINE := G104,G107,G115,G204,G301,G302,G304,G306,G401,G404,G501,G702,G703,G705

.PHONY: gosec
gosec: ## look for what is unsafe: all rules in what runs in the cloud
	$(GO) run $(GOSEC) -quiet $(addprefix -exclude-dir=internal/,cli local testing) . ./cmd/server ./functions/... ./pkg/... ./internal/...
	$(GO) run $(GOSEC) -quiet -exclude=$(OWN_MACHINE) -exclude-dir=node_modules ./cmd/jobdrop ./deploy/... ./docs/... ./internal/cli/... ./internal/local/... ./internal/testing/...
