# make test   everything, as CI runs it
# make quick  the inner loop: no race detector, few rounds
# make lint   golangci-lint, built once into .cache/bin
# make fuzz   each fuzz target for FUZZTIME
# make explore  schedules of concurrent requests and store failures, for EXPLORE
# make bench  the benchmarks
# make scale  sweeping and reading at a million sessions; a judgement of speed, so no part of the tests

GO       ?= go
FUZZTIME ?= 1m
EXPLORE  ?= 10m
LINT     := golangci-lint
LINT_VERSION := v2.15.0

.PHONY: test quick lint vet fuzz explore bench scale

test:
	@GO=$(GO) bash internal/ci/test.sh

quick:
	$(GO) vet ./...
	$(GO) test -short ./...

vet:
	$(GO) vet ./...
	GOOS=windows $(GO) vet ./...
	GOOS=darwin $(GO) vet ./...

.cache/bin/$(LINT)-$(LINT_VERSION):
	GOBIN=$(CURDIR)/.cache/bin $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	mv .cache/bin/$(LINT) $@

lint: .cache/bin/$(LINT)-$(LINT_VERSION)
	$< run ./...

fuzz:
	@GO=$(GO) FUZZTIME=$(FUZZTIME) bash internal/ci/fuzz.sh

explore:
	EXPLORE=$(EXPLORE) $(GO) test -v -count=1 -timeout 0 ./internal/explore

bench:
	$(GO) test -run '^$$' -bench . -benchmem -count 6 ./...

scale:
	cd test/benchmarks && $(GO) test -v -count=1 -timeout 30m ./...
