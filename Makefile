# make help shows what there is.

SHELL     := /bin/bash
GO        ?= go
FUZZ      ?= 5s
KILLS     ?= 200
CHAOS     ?= 2m
EVERY     ?= 1
TESTFLAGS ?= -race
BUILD      = $(GO) build -trimpath
# Whatever is wrong with the owner of the tree must not break a build, hence no stamp of the version control system, for anything
# that is run from here. The flags that somebody has set with go env -w stay.
GOFLAGS   := $(strip $(shell $(GO) env GOFLAGS 2>/dev/null) -buildvcs=false)
export GO GOFLAGS

# $(call step,NAME,COMMAND) says what it does in one line, and names itself where it fails. NAME has no commas.
step = @echo "== $(1)"; ( $(2) ) || { status=$$?; echo "== FAILED: $(1)" >&2; exit $$status; }

.PHONY: help build demo try test test-real-chains check kills chaos formal evidence bench rivals clean

# The authorities of real cards: public certificates that are kept beside the tree, not in it.
TRUST ?= ../shared/trust

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1	\2/p' Makefile | expand -t 24

build: ## bin/relay, bin/peer, bin/testpki
	$(call step,build bin/,$(BUILD) -o bin/ ./cmd/...)
	$(call step,build without cgo,CGO_ENABLED=0 $(BUILD) ./...)

demo: build ## a trial world, two people and everything between them
	$(call step,build what only the demonstration needs,$(BUILD) -o bin/ ./internal/demo)
	$(call step,demo,./scripts/demo.sh)

try: build ## chat within seconds, in this terminal: your own trial card, a relay, and somebody who answers
	$(call step,build what only a trial needs,$(BUILD) -o bin/ ./examples/echo ./internal/try)
	@bin/try

test: ## installs what the tests need where it can, and runs them all
	$(call step,what the tests need,./scripts/need.sh)
	$(call step,tests ($(TESTFLAGS)),$(GO) test $(TESTFLAGS) -timeout 12m ./...)

test-real-chains: ## holds the rules for chains against the authorities of real cards, which lie in TRUST
	$(call step,real chains,test -d "$(TRUST)" || { echo "there is no folder $(TRUST): name it with TRUST=DIR"; exit 1; }; TRUST="$$(realpath "$(TRUST)")" $(GO) test -count=1 -tags realchains -run TestRealChains ./cardauth)

check: ## all that must hold before a commit
	$(call step,what the tests need,./scripts/need.sh)
	$(call step,gofmt,files=$$(gofmt -l .); test -z "$$files" || { echo "$$files"; false; })
	$(call step,go.mod and go.sum,$(GO) mod tidy -diff)
	$(call step,go vet,$(GO) vet ./...)
	$(call step,staticcheck,$(GO) tool staticcheck ./...)
	$(call step,tests with the race detector in random order,$(GO) test -race -shuffle=on -timeout 25m ./...)
	$(call step,tests without cgo,CGO_ENABLED=0 $(GO) test -timeout 12m $$($(GO) list ./... | grep -v /pkcs11card))
	$(call step,fuzzing for $(FUZZ) each,./scripts/fuzz.sh $(FUZZ))

kills: ## kills relays and people's programs in the middle of taking new keys, KILLS times, and sees each conversation go on by itself
	$(call step,what the tests need,./scripts/need.sh)
	$(call step,$(KILLS) kills,KILLS=$(KILLS) $(GO) test -count=1 -v -timeout 40m -run '^TestKills$$' ./internal/processtest)

chaos: ## kills, stops and cuts off relays and people's programs at random for CHAOS (2m, 60m), and sees every message arrive once and in order
	$(call step,what the tests need,./scripts/need.sh)
	$(call step,chaos for $(CHAOS),CHAOS=$(CHAOS) $(GO) test -count=1 -v -timeout 90m -run '^TestChaos$$' ./internal/chaos)

formal: ## asks the provers whether the model of the handshakes still stands
	$(call step,what the provers need,./scripts/need.sh)
	$(call step,formal model,$(GO) run ./internal/formal/prove docs/formal)

evidence: ## changes every byte of every file of evidence, or one of EVERY, and sees verify.sh refuse it each time
	$(call step,changed bytes: one of $(EVERY),EVERY=$(EVERY) $(GO) test -count=1 -v -timeout 120m -run '^TestScriptRefusesEveryByte' ./peer/evidence/export)

bench: ## Go benchmarks
	$(call step,benchmarks,$(GO) test -run '^$$' -bench . -benchmem ./...)

rivals: ## measures NATS, Mosquitto, Prosody, plain QUIC and this in turns, against all budgets; writes bench/rivals.json
	$(call step,what the rivals need,./scripts/need.sh)
	$(call step,rivals,$(GO) run ./bench/load -rivals -runs 5 -write bench/rivals.json)

clean: ## removes what build, demo and try made
	$(call step,clean,rm -rf bin demo-world try-world)
