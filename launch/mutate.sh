#!/usr/bin/env bash
# Changes the safety layer in two thousand small ways; its tests must notice each. Hours on two cores, resumed where it stopped.
# What they do not notice is listed at the end, and explained in tests/survivors.md. Names of mutants may be given.
extras="dev mutation"
. "$(dirname "$0")/setup.sh"
cd "$repository" && unset PYTHONSAFEPATH
slow="not (breaks_a_limit or driven_at or break_no_limit or without_overshoot or underestimated or at_other_rates)"
survivors() { "$python" -m mutmut results | awk '/: (survived|timeout|suspicious)$/ { sub(":", "", $1); print $1 }'; }
export NUMBA_DISABLE_JIT=1   # a function that is changed in many ways is not compiled
PYTEST_ADDOPTS="-k '$slow'" "$python" -m mutmut run "$@"
survivors | xargs --no-run-if-empty "$python" -m mutmut run   # once more, by the slow property tests too
survivors
