# make test   every guarantee on every backend with its real server, and the examples
# make check  all else: race detector, lint, other systems and versions, v1.6.6, the browser, outages
# make quick  the inner loop: no race detector, few rounds
# make lint   golangci-lint, built once into .cache/bin
# make fuzz   each fuzz target for FUZZTIME
# make explore  schedules of concurrent requests and store failures, for EXPLORE
# make bench  the benchmarks
# make matrix  contract and conformance on older and newer servers, from Debian's suites; ONLY='MariaDB|sid' picks
# What follows measures, and writes docs/measured.txt and the pages that show it; QUICK=1 only prints
# make scale    a million sessions, and the bytes of one; a judgement of speed, so no part of the tests; ONLY='TestCount|TestBytes'
# make compare  this library beside v1.6.6, scs and gorilla/sessions; ONLY=redis,file only prints, here and below
# make curves   what a request costs as the work grows
# make count    round trips and system calls per request
# make numbers  copies docs/measured.txt into the pages
# make screenshots  of the demo, for the README, into docs/demo

GO       ?= go
FUZZTIME ?= 1m
EXPLORE  ?= 10m
BIN      := $(CURDIR)/.cache/bin
LINT     := $(BIN)/golangci-lint-v2.15.0
SUM      := $(BIN)/gotestsum-v1.13.0

.PHONY: test check quick lint linter vet fuzz explore matrix bench scale compare curves count numbers screenshots

test: SERVERS := postgres mariadb redis redis-cluster mongo
test check: $(SUM)
	@GO=$(GO) GOTESTSUM=$(SUM) $(GO) run ./internal/testserver/up $(SERVERS) -- bash internal/ci/$@.sh

quick:
	$(GO) vet ./...
	$(GO) test -short ./...

vet:
	$(GO) vet ./...
	GOOS=windows $(GO) vet ./...
	GOOS=darwin $(GO) vet ./...
	GOARCH=386 CGO_ENABLED=0 $(GO) vet ./...

$(LINT): TOOL := github.com/golangci/golangci-lint/v2/cmd/golangci-lint
$(SUM): TOOL := gotest.tools/gotestsum
$(LINT) $(SUM):
	GOBIN=$(BIN) $(GO) install $(TOOL)@$(lastword $(subst -, ,$@))
	mv $(BIN)/$(notdir $(TOOL)) $@

linter: $(LINT)

lint: $(LINT)
	@set -e; for dir in $(sort $(dir $(wildcard go.mod */*/go.mod */*/*/go.mod))); do \
		echo "$$dir"; (cd $$dir && $< run ./...); \
	done

fuzz:
	@GO=$(GO) FUZZTIME=$(FUZZTIME) bash internal/ci/fuzz.sh

explore:
	EXPLORE=$(EXPLORE) $(GO) test -v -count=1 -timeout 0 ./internal/explore

matrix:
	@GO=$(GO) bash internal/ci/matrix.sh

bench:
	$(GO) test -run '^$$' -bench . -benchmem -count 6 ./...

# Each test of these is a part of its own, so that some of them can be written alone.
scale:
	cd test/benchmarks && $(GO) test -v -count=1 -timeout 60m $(if $(ONLY),-run '$(ONLY)') . $(if $(QUICK),-short,-out ../../docs)

compare curves count:
	cd test/compare && $(GO) run . $(if $(QUICK),-quick) $(if $(ONLY),-only $(ONLY)) $(if $(QUICK)$(ONLY),,-out ../../docs) $@

numbers:
	$(GO) test -count=1 ./docs -run '^TestMeasured$$' -write

screenshots:
	cd test/browser && $(GO) test -count=1 -run '^TestScreenshots$$' -screenshots $(CURDIR)/docs/demo .
