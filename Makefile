# On a fresh clone `make run` and `make test` need only make, npm and any Node from 20 on: the npm package
# `node` brings the Node that everything here runs on.

.DEFAULT_GOAL := help
.PHONY: help run demo kafka kafka-run test test-quick test-crash test-h2spec test-conformance test-paths test-build test-deploy test-image bench check format proto console build dev-up dev-down clean

# npm itself runs on the machine's own Node: installing replaces the other one.
WITH_NODE := PATH="$(CURDIR)/node_modules/.bin:$$PATH"
INSTALLED := node_modules/.installed
CONSOLE := dist-console/index.html
ARGS ?=
DIST ?= dist
DIST_CLIENT ?= dist-client

help: ## this list
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(INSTALLED): package.json package-lock.json
	npm ci --loglevel=error
	@touch $@

$(CONSOLE): $(INSTALLED) $(shell find client gen -name '*.test.ts' -o -type f -print)
	@$(WITH_NODE) vite build client/console

run: $(INSTALLED) $(CONSOLE) ## install and serve on port 8980; ARGS="--memory" and the like go to `prism serve`
	@$(WITH_NODE) MALLOC_MMAP_THRESHOLD_=1048576 exec node --max-semi-space-size=8 server/main.ts serve $(ARGS)

demo: $(INSTALLED) ## the demo of RFC-026, against the server at PRISM_ADDRESS, or a proxy and its plugin that it starts for itself
	@$(WITH_NODE) node examples/run-demo.ts

kafka: $(INSTALLED) ## bring the Kafka that tests run on into .kafka; needs Java 17 and Maven
	@$(WITH_NODE) sh .ci/kafka/install

kafka-run: $(INSTALLED) ## a Kafka on port 9092 until Ctrl-C, from .kafka
	@$(WITH_NODE) exec node tests/helpers/kafka-program.ts

test: $(INSTALLED) $(CONSOLE) ## all tests; ARGS=server/wire for a part, ARGS=--coverage to enforce 90% of lines, as CI does
	$(WITH_NODE) vitest run $(ARGS)

test-quick: $(INSTALLED) ## the short tests, without real stores and whole processes; vitest.config.ts lists what it leaves out
	$(WITH_NODE) PRISM_TEST_QUICK=1 vitest run $(ARGS)

test-crash: $(INSTALLED) ## 200 rounds of kill -9 during writes; `make test` does ten
	$(WITH_NODE) PRISM_CRASH_ROUNDS=200 vitest run tests/crash.test.ts tests/commit-crash.test.ts tests/append-crash.test.ts

test-h2spec: $(INSTALLED) ## h2spec, strict, against the engine in http2/; needs Go, which it installs h2spec with
	@$(WITH_NODE) sh .ci/h2spec

test-conformance: $(INSTALLED) ## the official Connect conformance suite, against server and client; needs Go, which it installs the suite with
	@$(WITH_NODE) sh .ci/connect-conformance

test-paths: $(INSTALLED) ## the protocol tests on node:http2, and with every call on Connect's own handlers
	$(WITH_NODE) PRISM_TEST_HTTP2=node vitest run tests/protocol
	$(WITH_NODE) PRISM_TEST_PATH=connect vitest run tests/protocol
	$(WITH_NODE) PRISM_TEST_HTTP2=node PRISM_TEST_PATH=connect vitest run tests/protocol

test-build: $(INSTALLED) ## that what `make build` makes runs
	$(WITH_NODE) PRISM_TEST_BUILD=1 vitest run tests/build.test.ts

test-deploy: ## the files in deploy/ and the Dockerfile, with the tools of those that run them; needs Go and Python; ARGS=--installed-helm compiles no helm
	@sh .ci/test-deploy $(ARGS)

test-image: $(INSTALLED) ## that the image builds and runs; needs root, buildah, podman, runc and mmdebstrap
	@$(WITH_NODE) sh .ci/test-image

bench: $(INSTALLED) $(CONSOLE) ## how fast it is, beside others, in under ten minutes; ARGS=stores for the stores, ARGS=unary for one question
	@$(WITH_NODE) node bench/run.ts $(ARGS)

check: $(INSTALLED) ## types, lint, format, schema, generated code, import direction, unused code
	$(WITH_NODE) tsc
	$(WITH_NODE) tsc -p examples/browser-app
	$(WITH_NODE) tsc -p client/console
	$(WITH_NODE) biome check --error-on-warnings
	$(WITH_NODE) buf lint
	$(WITH_NODE) buf format --diff --exit-code
	$(WITH_NODE) sh .ci/check-gen
	sh .ci/check-comments
	$(WITH_NODE) depcruise --config .dependency-cruiser.cjs http2 server client tests gen examples bench docs
	$(WITH_NODE) knip

format: $(INSTALLED) ## put code and schema in the house's format
	$(WITH_NODE) biome check --write
	$(WITH_NODE) buf format --write

proto: $(INSTALLED) ## make gen/ and docs/api-reference.md from proto/
	$(WITH_NODE) buf generate
	$(WITH_NODE) buf generate --template docs/generate/buf.gen.yaml

console: $(CONSOLE) ## the page that the admin port serves, in dist-console/; `make run` makes it too

build: $(INSTALLED) ## what is published, JavaScript with types: prism-gateway in dist/, prism-client in dist-client/
	rm -rf $(DIST) $(DIST_CLIENT)
	@$(WITH_NODE) sh .ci/build-server $(DIST)
	$(WITH_NODE) tsc -p tsconfig.client.json --outDir $(DIST_CLIENT)
	$(WITH_NODE) node client/manifest.ts $(DIST_CLIENT)

dev-up: ## a proxy on port 8980 and the plugin that holds its data, in Docker
	docker compose up --build --detach --wait

dev-down: ## stop them; the data, which is in memory, goes
	docker compose down

clean: ## what was built or installed; ./data stays
	rm -rf dist dist-client dist-console coverage node_modules
