# The project's commands; `make help` lists them.
SHELL := /bin/sh
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python -m
# A process a core, a whole file to each: what a file shares, it starts once.
TESTS := $(VENV)/bin/pytest -n auto --dist loadfile
STACK ?= dev
# `dev` is the lab's stack and has its environment; any other has the one that make was called in.
IN_STACK = $(if $(filter dev,$(STACK)),lab=$$($(RUN) lab env) && eval "$$lab" &&)
# What the tests run: a whole cluster, and the node's programs of every version.
TOOLS := $(RUN) lab.tools && $(RUN) lab.tools --only kubeadm && for version in 1.36.3 1.35.4; do \
	$(RUN) lab.tools --kubernetes $$version --only kubelet,kube-proxy || exit 1; done

$(VENV)/.installed: requirements.txt requirements-dev.txt
	@echo "installing the Python packages into $(VENV)" >&2
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

# What the benchmarks compare with has an environment of its own.
BENCH_VENV := .venv-bench
$(BENCH_VENV)/.installed: benchmarks/requirements.txt
	@echo "installing Ansible and pyinfra into $(BENCH_VENV)" >&2
	@$(PYTHON) -m venv $(BENCH_VENV)
	@$(BENCH_VENV)/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@
# A benchmark's own lab, beside the user's: LAB_DIR is not heeded.
BENCH_LAB = $(if $(SUBNET),--subnet $(SUBNET)) $(if $(BRIDGE),--bridge $(BRIDGE))

.PHONY: help
help: ## list the commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20
	@echo "Variables: HOSTS=n1,n2,n3  KUBERNETES=1.37.2  NODE=n1  STACK=dev"
	@echo "A second lab: LAB_DIR=<its folder> SUBNET=10.98.1.0/24 BRIDGE=knlab1"

.PHONY: install
install: $(VENV)/.installed ## install the Python packages

.PHONY: lab
lab: $(VENV)/.installed ## start the lab (cluster and hosts) without running Pulumi
	@$(RUN) lab up $(if $(HOSTS),--hosts $(HOSTS)) $(if $(KUBERNETES),--kubernetes $(KUBERNETES)) \
		$(if $(SUBNET),--subnet $(SUBNET)) $(if $(BRIDGE),--bridge $(BRIDGE))

.PHONY: up
up: lab ## start the lab, join its hosts with `pulumi up`, and show the nodes
	@$(RUN) lab.stack up $(if $(KUBERNETES),--kubernetes $(KUBERNETES))

.PHONY: preview
preview: $(VENV)/.installed ## show what `pulumi up` would change, line by line
	@$(RUN) lab.stack preview

.PHONY: comment
comment: $(VENV)/.installed ## write the comment that a pull request would get: make comment > comment.md (STACK=, FORGE=gitlab)
	@$(IN_STACK) pulumi preview --json --stack $(STACK) | $(RUN) kube_nodes.review $(if $(FORGE),--forge $(FORGE))

.PHONY: policy
policy: $(VENV)/.installed ## hold a preview against the policy pack (STACK=)
	@$(if $(filter dev,$(STACK)),$(RUN) lab.stack policy,pulumi preview --policy-pack policy --stack $(STACK))

.PHONY: table
table: $(VENV)/.installed ## show the nodes as the cluster sees them
	@$(RUN) lab.stack table

.PHONY: verify
verify: $(VENV)/.installed ## compare every host and Node with what is declared; ALL=1 shows what is well, JSON=1
	@eval "$$($(RUN) lab env)" && $(RUN) kube_nodes.fleet verify --stack dev $(if $(ALL),--all) $(if $(JSON),--json)

.PHONY: drift
drift: $(VENV)/.installed ## show what was changed by hand, with diffs; REPAIR=1 has the next up put it right, JSON=1
	@$(IN_STACK) $(RUN) kube_nodes.fleet drift --stack $(STACK) $(if $(REPAIR),--repair) $(if $(JSON),--json)

.PHONY: adopt
adopt: $(VENV)/.installed ## show what would change on hosts whose kubelet somebody else set up; changes nothing (STACK=, JSON=1)
	@$(IN_STACK) $(RUN) kube_nodes.fleet adopt --stack $(STACK) $(if $(JSON),--json)

.PHONY: certificates
certificates: $(VENV)/.installed ## show when every certificate ends, soonest first; DAYS=30 fails for what ends sooner; JSON=1
	@$(IN_STACK) $(RUN) kube_nodes.fleet certificates --stack $(STACK) $(if $(DAYS),--days $(DAYS)) $(if $(JSON),--json)

.PHONY: approve
approve: $(VENV)/.installed ## approve pending certificate requests of declared nodes; close tokens, undo cordons left behind
	@$(IN_STACK) pulumi stack output inventory --show-secrets --stack $(STACK) | ./membership/run approve

.PHONY: show
show: $(VENV)/.installed ## show every option of a node and where it was written: make show NODE=n1 (ALL=1: defaults too)
	@$(IN_STACK) $(RUN) kube_nodes.fleet show --stack $(STACK) --node $(or $(NODE),n1) $(if $(ALL),--all) $(if $(JSON),--json)

.PHONY: preflight
preflight: $(VENV)/.installed ## look at all hosts and the cluster before an up; changes nothing (STACK=, JSON=1)
	@$(IN_STACK) $(RUN) kube_nodes.fleet preflight --stack $(STACK) $(if $(JSON),--json)

.PHONY: status
status: $(VENV)/.installed ## show how the nodes are: WATCH=1 again and again, DRIFT=1 looks at the hosts too, JSON=1
	@$(IN_STACK) $(RUN) kube_nodes.fleet status --stack $(STACK) $(if $(WATCH),--watch) \
		$(if $(DRIFT),--drift) $(if $(JSON),--json)

.PHONY: fleet-preview
fleet-preview: $(VENV)/.installed ## show what fleet-up would change, on every stack: FLEET=prod.fleet.yaml (DIFF=1, LIMIT=4)
	@$(RUN) kube_nodes.fleet fleet-preview --fleet "$(FLEET)" $(if $(LIMIT),--limit $(LIMIT)) \
		$(if $(OVERWRITE),--overwrite) $(if $(DIFF),--diff)

.PHONY: fleet-up
fleet-up: $(VENV)/.installed ## run `pulumi up` on all stacks of a fleet, LIMIT=4 at once: FLEET=prod.fleet.yaml
	@$(RUN) kube_nodes.fleet fleet-up --fleet "$(FLEET)" $(if $(LIMIT),--limit $(LIMIT)) \
		$(if $(OVERWRITE),--overwrite)

.PHONY: fleet-status
fleet-status: $(VENV)/.installed ## show how the nodes of all stacks of a fleet are: FLEET=prod.fleet.yaml (JSON=1)
	@$(RUN) kube_nodes.fleet fleet-status --fleet "$(FLEET)" $(if $(JSON),--json)

.PHONY: destroy
destroy: $(VENV)/.installed ## take the nodes out of the cluster; the lab stays
	@$(RUN) lab.stack destroy

.PHONY: down
down: $(VENV)/.installed ## remove the lab and everything of it from this machine
	@$(RUN) lab down

.PHONY: env
env: $(VENV)/.installed ## print the shell lines for plain pulumi and kubectl: eval "$$(make -s env)"
	@$(RUN) lab env

.PHONY: ssh
ssh: $(VENV)/.installed ## open a shell on a host: make ssh NODE=n1 (PRINT=1 prints the command)
	@$(RUN) lab ssh $(if $(PRINT),--print) $(or $(NODE),n1)

.PHONY: new-stack
new-stack: $(VENV)/.installed ## write a new stack's configuration: NAME=prod, and what it asks for (API= CA= SSH_USER= NODES=)
	@$(RUN) kube_nodes.fleet new-stack --stack "$(NAME)" $(if $(API),--api "$(API)") $(if $(CA),--ca "$(CA)") \
		$(if $(CLUSTER_UID),--cluster-uid "$(CLUSTER_UID)") $(if $(SSH_USER),--ssh-user "$(SSH_USER)") \
		$(if $(POD_CIDRS),--pod-cidrs "$(POD_CIDRS)") $(if $(SERVICE_CIDRS),--service-cidrs "$(SERVICE_CIDRS)") \
		$(if $(NODES),--nodes "$(NODES)") $(if $(POOL),--pool "$(POOL)") $(if $(WRITE),--write)

.PHONY: host-keys
host-keys: $(VENV)/.installed ## show the hosts' keys beside the declared ones, and write them on a yes
	@$(IN_STACK) $(RUN) kube_nodes.fleet host-keys --stack $(STACK) \
		$(if $(NAME),--name $(NAME)) $(if $(ADDRESS),--address $(ADDRESS)) $(if $(POOL),--pool $(POOL)) \
		$(if $(WRITE),--write) $(if $(REPLACE),--replace $(REPLACE))

.PHONY: graph
graph: $(VENV)/.installed ## draw the graph of a stack as SVG, one node opened: STACK=, OUT=graph-<stack>.svg
	@$(RUN) kube_nodes.fleet graph --stack $(STACK) $(if $(OUT),--output $(OUT))

.PHONY: reference
reference: $(VENV)/.installed ## write anew what is generated: configuration reference, Pulumi.yaml's keys, schema, graph
	@$(RUN) docs.reference

.PHONY: lint
lint: $(VENV)/.installed ## ruff, mypy, shellcheck
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/ruff check .
	@MYPYPATH=. $(VENV)/bin/mypy -p kube_nodes -p lab -p docs -p policy -p benchmarks -p tests
	@$(VENV)/bin/shellcheck host/*.sh membership/run benchmarks/*/*.sh .ci/run

.PHONY: test-fast
test-fast: lint ## lint, then unit, golden and component tests: nothing is started
	@$(TESTS) tests/unit tests/golden tests/components

.PHONY: test
test: test-fast ## everything: also plugins, API and lab tests, on real servers and hosts
	@if [ "$$(uname)" = Linux ]; then $(TOOLS); else echo "no tools but on Linux: what needs them is skipped"; fi
	@$(TESTS) -rs tests/plugins tests/policy tests/pull_requests tests/api tests/fleet tests/binaries
	@$(TESTS) -rs tests/lab

.PHONY: test-faults
test-faults: $(VENV)/.installed ## what make test leaves out: faults of every kind on real hosts, in two labs; ends with a table
	@$(TOOLS)
	@$(VENV)/bin/pytest -n 2 --dist load --maxschedchunk 1 -rs tests/faults $(if $(PAGE),--faults-page $(PAGE))

.PHONY: bench
bench: $(VENV)/.installed $(BENCH_VENV)/.installed ## the same work by this program, Ansible, pyinfra and a script: HOSTS=2,8 ROUNDS=1, PAGE=
	@$(RUN) benchmarks compare $(BENCH_LAB) $(if $(HOSTS),--hosts $(HOSTS)) \
		$(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(PAGE),--page $(PAGE))

.PHONY: bench-join
bench-join: $(VENV)/.installed ## where the time of a join goes, and the bare sequence by hand: ROUNDS=1, PAGE=
	@$(RUN) benchmarks.join $(BENCH_LAB) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(PAGE),--page $(PAGE))

.PHONY: bench-scale
bench-scale: $(VENV)/.installed ## a large fleet of simulated hosts through the real engine: N=100,250, PAGE=
	@$(RUN) benchmarks.scale $(if $(N),--nodes $(N)) $(if $(PAGE),--page $(PAGE))

.PHONY: bench-quick
bench-quick: $(VENV)/.installed ## hold this program's times against the baseline, in ratios (3 minutes)
	@$(RUN) benchmarks quick $(BENCH_LAB) $(if $(ROUNDS),--rounds $(ROUNDS))

.PHONY: bench-base
bench-base: $(VENV)/.installed ## write the baseline anew, on a quiet machine
	@$(RUN) benchmarks quick --write $(BENCH_LAB) $(if $(ROUNDS),--rounds $(ROUNDS))
