# Weir's tasks. `make help` lists them. A fresh machine needs Go and make (and git
# for verify); every other tool is pinned in tools/go.mod and built from there.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

GO ?= go
# Stamping needs no VCS: builds work in a tarball and in a container too.
export GOFLAGS := -buildvcs=false $(filter-out -buildvcs=false,$(GOFLAGS))

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)

# There is no module at the root: ./... would test nothing. The workspace's modules
# are listed by go itself, their folders by go.work.
MODULE := github.com/weircrawl/weir
MODULES = $(shell $(GO) list -m)
PACKAGES = $(addsuffix /...,$(MODULES))
MODULE_DIRS = $(shell $(GO) list -m -f '{{.Dir}}')

TOOLS := bin/tools
FUZZTIME ?= 10s
TESTFLAGS ?=
BENCHFLAGS ?=
# What buf breaking compares with: the release before, as test/upgrade has it.
BREAKING_BASE ?= $(shell cat test/upgrade/previous)

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-zA-Z0-9_-]+:.*## ' $(MAKEFILE_LIST) | sort | awk 'BEGIN {FS = ":.*## "} {printf "  %-14s %s\n", $$1, $$2}'

.PHONY: build
build: ## build bin/weir
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/weir ./cmd/weir

# What an image and its files tell as their time: that of the commit.
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
IMAGE ?= ghcr.io/weircrawl/weir
# A tag has no plus sign; add linux/arm64 for both.
IMAGE_TAG = $(subst +,-,$(VERSION))
PLATFORMS ?= linux/amd64
PROGRAMS = $(foreach p,$(PLATFORMS),bin/images/$(p)/weir)
IMAGE_TOOL = $(TOOLS)/image -goroot "$$($(GO) env GOROOT)" -epoch $(SOURCE_DATE_EPOCH)

.PHONY: images
images: programs $(TOOLS)/image ## write the container image bin/images/weir.tar and what is in it, for PLATFORMS (no daemon, no registry)
	$(IMAGE_TOOL) -name $(IMAGE):$(IMAGE_TAG) -title 'Weir, a distributed web crawler' \
	  -o bin/images/weir.tar -sbom bin/images/weir.spdx.json $(foreach p,$(PLATFORMS),$(p)=bin/images/$(p)/weir)

# Chromium's packages and theirs, at the versions that this machine's apt knows. What
# only maintainers' scripts, a desktop or a graphics card need stays out; a shell is not
# among them anyway.
RENDER_PACKAGES := chromium fonts-liberation
RENDER_WITHOUT := ^(adduser|adwaita-icon-theme|at-spi2-core|ca-certificates|dbus.*|dconf.*|debconf|dmsetup|dpkg|gsettings-.*|gtk-.*|hicolor-icon-theme|init-system-helpers|insserv|lib.*-perl|libgl1-mesa-dri|libgtk-3-(bin|common)|libllvm.*|libpam-.*|libperl.*|libz3-.*|lsb-base|mount|openssl|passwd|perl.*|procps|shared-mime-info|startpar|systemd.*|sysv.*|tar|tzdata|ucf|usrmerge|x11-.*|xdg-.*)_

.PHONY: image-render
image-render: programs $(TOOLS)/image render-packages ## write bin/images/weir-render.tar: the same program and Debian's Chromium (on Debian, amd64)
	$(IMAGE_TOOL) -name $(IMAGE)-render:$(IMAGE_TAG) -title 'Weir with a browser, for fetchers of the pool render' \
	  -env WEIR_FETCHER_BROWSER_PATH=/usr/lib/chromium/chromium -env XDG_CACHE_HOME=/tmp -deb bin/images/deb \
	  -o bin/images/weir-render.tar -sbom bin/images/weir-render.spdx.json linux/amd64=bin/images/linux/amd64/weir

# apt is asked what an empty machine would need, and checks what it downloads.
.PHONY: render-packages
render-packages:
	@mkdir -p bin/images/deb bin/images/apt/partial
	@compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null || apt-get update -qq
	apt-get -qq -y -o Dir::State::status=/dev/null -o Dir::Cache::archives=$(CURDIR)/bin/images/apt -o APT::Sandbox::User=root \
	  -o APT::Architecture=amd64 --no-install-recommends --download-only install $(RENDER_PACKAGES) >/dev/null
	@rm -f bin/images/deb/*; for deb in bin/images/apt/*.deb; do \
	  [[ $$(basename $$deb) =~ $(RENDER_WITHOUT) ]] || ln $$deb bin/images/deb/; done

# The site that the tests in a cluster crawl, with the program as its client.
.PHONY: image-test
image-test: bin/images/linux/amd64/weir $(TOOLS)/image ## write bin/images/weir-test.tar, the test site for make e2e-k8s
	CGO_ENABLED=0 GOOS=linux GOARCH=amd64 $(GO) build -trimpath -o bin/images/linux/amd64/site ./test/cmd/site
	$(IMAGE_TOOL) -name $(IMAGE)-test:$(IMAGE_TAG) -title 'A site for tests of Weir' \
	  -o bin/images/weir-test.tar linux/amd64=bin/images/linux/amd64/site,bin/images/linux/amd64/weir

.PHONY: programs
programs: $(PROGRAMS)

.PHONY: $(PROGRAMS)
$(PROGRAMS): bin/images/%/weir:
	CGO_ENABLED=0 GOOS=$(firstword $(subst /, ,$*)) GOARCH=$(lastword $(subst /, ,$*)) $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $@ ./cmd/weir

.PHONY: demo
demo: build ## crawl a small shop that the program serves to itself, and show what comes out
	bin/weir demo

.PHONY: up
up: build ## run the whole ring as a server, all in one process
	bin/weir up

# The black-box tests look at files and programs that go's test cache does not know
# of (-count=1), and need the machine for themselves (-p 1).
.PHONY: test
test: postgresql chromium interop-tools example-tools promtool ## all tests of all modules, import rules and a short end-to-end run in both modes
	$(GO) test -timeout 10m $(TESTFLAGS) $$($(GO) list $(PACKAGES) | grep -v '^$(MODULE)/test/')
	$(GO) test -count=1 -timeout 20m -p 1 $(TESTFLAGS) $(MODULE)/test/...
	GOWORK=off $(GO) -C tools test -count=1 $(TESTFLAGS) ./image

# The tests start servers of their own; they need the programs.
.PHONY: postgresql
postgresql: ## install Debian's postgresql, where it is missing and this user may
	@compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || command -v postgres >/dev/null || $(call debian,postgresql)

# Readers of WARC files of other projects, at the versions of a lock file; and wget.
.PHONY: interop-tools
interop-tools: test/interop/node_modules/.package-lock.json ## install the programs that read our archives in the tests (npm), and Debian's nodejs, npm and wget where they are missing
	@command -v wget >/dev/null || $(call debian,wget)

test/interop/node_modules/.package-lock.json: test/interop/package-lock.json
	@command -v npm >/dev/null || $(call debian,nodejs npm)
	npm ci --prefix test/interop --ignore-scripts --no-audit --no-fund --silent
	@touch $@

# The examples in JavaScript, Python and shell, which tests run.
.PHONY: example-tools
example-tools: examples/extractor/node/node_modules/.package-lock.json $(TOOLS)/grpcurl ## install what the examples need (npm, grpcurl), and Debian's nodejs, npm, python3 and jq where they are missing
	@command -v python3 >/dev/null && command -v jq >/dev/null || $(call debian,python3 jq)

examples/extractor/node/node_modules/.package-lock.json: examples/extractor/node/package-lock.json
	@command -v npm >/dev/null || $(call debian,nodejs npm)
	npm ci --prefix examples/extractor/node --ignore-scripts --no-audit --no-fund --silent
	@touch $@

# debian installs packages where this user may.
debian = { \
	  sudo=; [ "$$(id -u)" = 0 ] || sudo="sudo -n"; \
	  { $$sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq --no-install-recommends $(1); } || { \
	    echo "the tests need these programs; install your system's packages: $(1)" >&2; exit 1; }; }

.PHONY: chromium
chromium: ## install Debian's chromium, where there is no such browser and this user may
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || $(call debian,chromium)

# The alert rules are tested by Prometheus' own tool. It is in Debian's package of the
# server, which nobody needs: only the program is taken out of it.
.PHONY: promtool
promtool: ## put promtool, of Debian's prometheus, into bin/tools where there is none
	@command -v promtool >/dev/null || [ -x $(TOOLS)/promtool ] || { \
	  mkdir -p $(TOOLS); tmp=$$(mktemp -d); chmod 755 $$tmp; cd $$tmp; \
	  apt-get download -qq prometheus || { sudo=; [ "$$(id -u)" = 0 ] || sudo="sudo -n"; $$sudo apt-get update -qq && apt-get download -qq prometheus; } || { \
	    echo "the tests need promtool: install your system's package prometheus" >&2; exit 1; }; \
	  dpkg-deb -x prometheus_*.deb . && install -m 755 usr/bin/promtool $(CURDIR)/$(TOOLS)/; rm -rf $$tmp; }

.PHONY: race
race: postgresql chromium interop-tools promtool example-tools ## all tests but the end-to-end ones under the race detector (needs a C compiler)
	CGO_ENABLED=1 $(GO) test -race -timeout 30m $(TESTFLAGS) $$($(GO) list $(PACKAGES) | grep -v -e /test/e2e -e /test/chaos -e /test/console -e /test/upgrade -e /test/bench)

.PHONY: e2e
e2e: example-tools ## the long end-to-end suite, both modes, 10,000 pages, python3-doc against wget
	$(GO) test -count=1 -timeout 60m -tags long -v $(TESTFLAGS) ./test/e2e -args -long

.PHONY: chaos
chaos: ## the long fault suite: kill -9 of everything in turn, stopped storage, full disk
	$(GO) test -count=1 -timeout 60m -tags long -v $(TESTFLAGS) ./test/chaos -args -long

.PHONY: upgrade
upgrade: ## rolling upgrade and rollback against the release before (test/upgrade/previous), long form
	$(GO) test -count=1 -timeout 60m -v $(TESTFLAGS) ./test/upgrade -args -long

.PHONY: chaos-store
chaos-store: postgresql ## kill -9 of a storage that writes, 200 times with each catalogue; then everything is read and checked
	$(GO) test -count=1 -timeout 60m -tags long -v $(TESTFLAGS) -run '^TestKill$$' ./services/storage

# Any cluster that KUBECONFIG leads to, empty of Weir; see test/k8s/README.md for what the variables say.
.PHONY: e2e-k8s
e2e-k8s: images image-render image-test ## the suite on a real Kubernetes cluster: deploy, crawl, scale, restart, drain, kill
	WEIR_E2E_TAG=$(IMAGE_TAG) WEIR_E2E_IMAGES="$${WEIR_E2E_IMAGES-$(CURDIR)/bin/images/weir.tar $(CURDIR)/bin/images/weir-render.tar $(CURDIR)/bin/images/weir-test.tar}" \
	  $(GO) test -count=1 -timeout 60m -tags k8s -v $(TESTFLAGS) ./test/k8s

.PHONY: bench-ring
bench-ring: build postgresql ## measure the whole ring beside a bare Go loop and Colly; goes on where it was broken off; writes test/bench/results (BENCHFLAGS='-budget 12m', -only hosts4, -short, -fair, -h)
	$(GO) build -o bin/bench ./test/cmd/bench
	bin/bench -weir bin/weir $(BENCHFLAGS)

.PHONY: capacity
capacity: ## put the costs of the ring report REPORT (default: the newest) into docs/capacity.md
	$(GO) run ./test/cmd/bench -capacity $(or $(REPORT),$(shell ls -t test/bench/results/ring-[0-9a-f]*.json 2>/dev/null | head -1))

.PHONY: bench-guard
bench-guard: build ## compare the ring's ratio to the bare loop with the committed one; fails on a gross loss (a minute)
	$(GO) build -o bin/bench ./test/cmd/bench
	bin/bench -weir bin/weir -guard test/bench/results/guard.json -out bin/guard $(BENCHFLAGS)

.PHONY: bench-frontier
bench-frontier: ## measure the frontier and its stores at 1 M and 10 M URLs (BENCHFLAGS=-short for 100,000; -h lists the flags)
	$(GO) run -trimpath ./services/scheduler/cmd/frontierbench $(BENCHFLAGS)

.PHONY: bench-store
bench-store: postgresql ## measure both catalogues and the archive beside plain inserts and COPY (BENCHFLAGS=-short for a quick look)
	$(GO) run -trimpath ./services/storage/cmd/storebench $(BENCHFLAGS)

.PHONY: bench-parse
bench-parse: ## measure the parser on pages of 5, 16 and 160 KiB beside a bare goquery loop
	$(GO) run ./services/parser/internal/benchparse

.PHONY: bench-fetch
bench-fetch: ## measure a fetch beside a bare net/http loop on the same site (BENCHFLAGS=-h lists the flags)
	$(GO) run ./services/fetcher/cmd/fetchbench $(BENCHFLAGS)

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME (default 10s)
	@for dir in $$(grep -rl --include='*_test.go' '^func Fuzz' cmd internal services | xargs -rn1 dirname | sort -u); do \
	  for target in $$(grep -hoE '^func Fuzz[A-Za-z0-9_]*' $$dir/*_test.go | sed 's/func //'); do \
	    echo "== $$dir $$target"; \
	    out=$$(mktemp); \
	    $(GO) test ./$$dir -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) 2>&1 | tee $$out || { \
	      grep -q 'context deadline exceeded' $$out && ! grep -q 'Failing input' $$out || exit 1; \
	      echo "the time was over in the middle of an input, which go test takes for a failure: no finding"; }; \
	    rm -f $$out; \
	  done; \
	done

.PHONY: lint
lint: $(TOOLS)/staticcheck ## gofmt, go vet, staticcheck and our own rules (test/rules)
	@unformatted=$$("$$($(GO) env GOROOT)/bin/gofmt" -l $$(git ls-files '*.go' | grep -vE '\.pb(\.gw)?\.go$$')); \
	  if [ -n "$$unformatted" ]; then echo "not formatted by gofmt:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet -tags long,k8s,keda $(PACKAGES)
	$(TOOLS)/staticcheck -tags long,k8s,keda $(PACKAGES)
	GOWORK=off $(GO) -C tools vet ./image
	$(GO) test -count=1 ./test/rules

.PHONY: gen
gen: protoc-tools ## generate the Go code of proto/, the gateway, the references in docs, the dashboards and the users of deploy/nats
	PATH="$(CURDIR)/$(TOOLS):$$PATH" $(TOOLS)/buf generate
	$(GO) run ./cmd/weir config reference > docs/configuration.md
	$(GO) run ./cmd/weir config metrics > docs/metrics.md
	$(GO) run ./cmd/weir config openapi > docs/openapi.json
	$(GO) run ./test/cmd/monitoring
	$(GO) run ./cmd/weir topology permissions --users password > deploy/nats/users-password.conf
	$(GO) run ./cmd/weir topology permissions --users certificate > deploy/nats/users-certificate.conf

.PHONY: verify
verify: verify-gen verify-proto verify-modules verify-k8s lint ## everything that CI proves beside the tests
	@echo "verify: ok"

# What the linter is told not to ask for: Always pulling (tags are never moved), limits of
# CPU (throttling makes heart-beats late), anti-affinity (topology spread does that), two
# replicas (the manifests leave the number to who scales).
LINT_MANIFESTS := --kubernetes-version v1.37 --exit-one-on-warning --ignore-container-cpu-limit --min-replicas-hpa 1 \
	--ignore-test container-image-pull-policy,deployment-replicas,deployment-has-host-podantiaffinity,statefulset-has-host-podantiaffinity

.PHONY: verify-k8s
verify-k8s: $(TOOLS)/kustomize $(TOOLS)/kube-score ## build every overlay of deploy/k8s, decode it strictly, check our rules and kube-score's
	@for dir in deploy/k8s/overlays/* deploy/k8s/test/*; do \
	  echo "== $$dir"; \
	  out=$$(mktemp); \
	  $(TOOLS)/kustomize build $$dir > $$out; \
	  $(TOOLS)/kube-score score $(LINT_MANIFESTS) -o ci $$out > $$out.said || { grep -E '^.(CRITICAL|WARNING)' $$out.said; rm -f $$out $$out.said; exit 1; }; \
	  rm -f $$out $$out.said; \
	done
	$(GO) test -count=1 ./test/manifests

# The real thing, of one version, built once into a folder that outlives `make clean`.
K8S_BIN ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/weir/k8s

.PHONY: k8s-api
k8s-api: $(K8S_BIN)/etcd $(K8S_BIN)/kube-apiserver ## apply every overlay to a real etcd and kube-apiserver, which are built at the first time (some minutes)
	$(GO) test -count=1 -timeout 10m -tags long -v $(TESTFLAGS) -run '^TestAPIServer$$' ./test/manifests -args -bin $(K8S_BIN)

$(K8S_BIN)/kube-apiserver: tools/kube-apiserver/go.mod
	@mkdir -p $(@D)
	@v=$$(GOWORK=off $(GO) -C tools/kube-apiserver list -m -f '{{.Version}}' k8s.io/kubernetes); echo "kube-apiserver $$v"; \
	  GOWORK=off CGO_ENABLED=0 $(GO) -C tools/kube-apiserver build -trimpath -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$$v" -o $@ k8s.io/kubernetes/cmd/kube-apiserver
$(K8S_BIN)/etcd: tools/etcd/go.mod
	@mkdir -p $(@D)
	GOWORK=off CGO_ENABLED=0 $(GO) -C tools/etcd build -trimpath -ldflags '-s -w' -o $@ go.etcd.io/etcd/server/v3

.PHONY: verify-gen
verify-gen: protoc-tools
	@rm -rf bin/gen && mkdir -p bin/gen
	PATH="$(CURDIR)/$(TOOLS):$$PATH" $(TOOLS)/buf generate -o bin/gen
	@cd bin/gen && find proto cmd -type f | sort > ../gen.want
	@find proto cmd/weir/internal/gateway -name '*.pb.go' -o -name '*.pb.gw.go' -o -name 'generated.swagger.json' | sort | diff bin/gen.want - || { echo "generated files differ: run make gen"; exit 1; }
	@while read -r f; do cmp -s "bin/gen/$$f" "$$f" || { echo "$$f is stale: run make gen"; exit 1; }; done < bin/gen.want
	@$(GO) run ./cmd/weir config openapi | cmp -s - docs/openapi.json || { echo "docs/openapi.json is stale: run make gen"; exit 1; }
	@rm -rf bin/gen bin/gen.want

.PHONY: verify-proto
verify-proto: $(TOOLS)/buf
	$(TOOLS)/buf lint
	@git cat-file -e '$(BREAKING_BASE)^{commit}' || { \
	  echo "the release before, $(BREAKING_BASE), is not in this clone: git fetch --unshallow, or git fetch origin $(BREAKING_BASE)"; exit 1; }
	@rm -rf bin/breaking && mkdir -p bin/breaking && git archive '$(BREAKING_BASE)' proto buf.yaml | tar -x -C bin/breaking
	@echo "buf breaking against $(BREAKING_BASE)"
	$(TOOLS)/buf breaking --against bin/breaking

# The workspace hides missing requirements, so each module is built alone too.
.PHONY: verify-modules
verify-modules:
	GOWORK=off $(GO) -C tools mod tidy -diff
	@for dir in $(MODULE_DIRS); do \
	  echo "== $${dir#$(CURDIR)/}"; \
	  GOWORK=off $(GO) -C $$dir build -o /dev/null ./...; \
	  GOWORK=off $(GO) -C $$dir mod tidy -diff; \
	done

.PHONY: protoc-tools
protoc-tools: $(TOOLS)/buf $(TOOLS)/protoc-gen-go $(TOOLS)/protoc-gen-go-grpc $(TOOLS)/protoc-gen-grpc-gateway $(TOOLS)/protoc-gen-openapiv2

# buf alone takes minutes of CPU to build; it is needed by gen and verify only.
$(TOOLS)/buf: tools/go.mod
	GOWORK=off $(GO) -C tools build -o ../$@ github.com/bufbuild/buf/cmd/buf
$(TOOLS)/protoc-gen-go: tools/go.mod
	GOWORK=off $(GO) -C tools build -o ../$@ google.golang.org/protobuf/cmd/protoc-gen-go
$(TOOLS)/protoc-gen-go-grpc: tools/go.mod
	GOWORK=off $(GO) -C tools build -o ../$@ google.golang.org/grpc/cmd/protoc-gen-go-grpc
$(TOOLS)/protoc-gen-grpc-gateway $(TOOLS)/protoc-gen-openapiv2: $(TOOLS)/%: tools/go.mod
	GOWORK=off $(GO) -C tools build -o ../$@ github.com/grpc-ecosystem/grpc-gateway/v2/$*
$(TOOLS)/grpcurl: tools/go.mod
	GOWORK=off $(GO) -C tools build -o ../$@ github.com/fullstorydev/grpcurl/cmd/grpcurl
$(TOOLS)/image: tools/go.mod $(wildcard tools/image/*.go)
	GOWORK=off $(GO) -C tools build -o ../$@ ./image
$(TOOLS)/staticcheck: tools/go.mod
	GOWORK=off $(GO) -C tools build -o ../$@ honnef.co/go/tools/cmd/staticcheck
$(TOOLS)/kustomize: tools/manifests/go.mod
	GOWORK=off $(GO) -C tools/manifests build -o ../../$@ sigs.k8s.io/kustomize/kustomize/v5
$(TOOLS)/kube-score: tools/manifests/go.mod
	GOWORK=off $(GO) -C tools/manifests build -o ../../$@ github.com/zegl/kube-score/cmd/kube-score

.PHONY: install-deps
install-deps: ## fetch modules and build the pinned tools (Debian packages of the tests: postgresql, chromium, nodejs, npm, wget; of the long e2e: python3-doc)
	@for dir in $(MODULE_DIRS); do GOWORK=off $(GO) -C $$dir mod download; done
	@$(MAKE) protoc-tools $(TOOLS)/staticcheck

.PHONY: clean
clean: ## remove what was built and measured, and the data of crawls run here
	rm -rf bin weir-data test/bench/profiles
