"""What a person types: each spec reads back, each mistake is answered with a sentence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator import Fault, Simulator, World, parse_fault, parse_policy


@pytest.mark.parametrize(
    "spec",
    [
        "token:rate=5,burst=5",
        "token:rate=0.8333333333333334,burst=1",
        "fixed:count=50,window=10",
        "fixed:count=50,window=10,phase=0.5",
        "sliding:count=50,window=10",
        "penalty:count=5,window=1,lockout=30",
        "inflight:cap=4",
        "inflight:cap=4,latency=0.1",
        "drift:rate=10,burst=10,at=300/600,factor=0.5/1",
        "none",
    ],
)
def test_a_spec_reads_back(spec):
    assert str(parse_policy(spec)) == spec


@given(rate=st.floats(1e-9, 1e9), burst=st.floats(1, 1e9))
def test_any_number_in_range_reads_back(rate, burst):
    policy = parse_policy(f"token:rate={rate!r},burst={burst!r}")
    assert str(parse_policy(str(policy))) == str(policy)
    assert policy.rate(0.0) == rate


def test_spaces_and_defaults_are_allowed():
    assert str(parse_policy(" penalty : count = 5 ")) == "penalty:count=5,window=1,lockout=30"


BAD_POLICIES = {
    "": "unknown kind ''",
    "tokens:rate=5": "unknown kind 'tokens'",
    "token": "rate and burst missing",
    "token:rate=5": "burst missing",
    "token:rate=5,burst": "'burst' is not of the form key=number",
    "token:rate=5,,burst=5": "'' is not of the form key=number",
    "token:rate=5,burst=5,burst=6": "burst is given twice",
    "token:rate=5,burst=5,size=2": "unknown key 'size'",
    "token:rate=fast,burst=5": "rate must be a number, not 'fast'",
    "token:rate=,burst=5": "rate must be a number, not ''",
    "token:rate=0,burst=5": "rate must be",
    "token:rate=-1,burst=5": "rate must be",
    "token:rate=nan,burst=5": "rate must be",
    "token:rate=1e999,burst=5": "rate must be",
    "token:rate=1e-320,burst=5": "rate must be",
    "token:rate=1e12,burst=5": "rate must be",
    "token:rate=5,burst=0.5": "burst must be",
    "token:rate=5,burst=inf": "burst must be",
    "fixed:count=2.5,window=10": "count must be a whole number",
    "fixed:count=0,window=10": "count must be a whole number",
    "fixed:count=inf,window=10": "count must be a whole number",
    "fixed:count=1e300,window=10": "count must be a whole number",
    "fixed:count=5,window=0": "window must be",
    "fixed:count=5,window=1e-320": "window must be",
    "fixed:count=5,window=10,phase=1": "phase must be a fraction",
    "fixed:count=5,window=10,phase=nan": "phase must be a fraction",
    "sliding:count=5": "window missing",
    "penalty:count=5,lockout=-30": "lockout must be",
    "inflight:cap=none": "cap must be a number, not 'none'",
    "inflight:cap=4,latency=0": "latency must be",
    "drift:rate=10,burst=10,at=300,factor=0.5/1": "at has 1 and factor 2 values",
    "drift:rate=10,burst=10,at=600/300,factor=0.5/1": "at must be one or more times in ascending order",
    "drift:rate=10,burst=10,at=300/300,factor=0.5/1": "at must be one or more times in ascending order",
    "drift:rate=10,burst=10,at=300/,factor=0.5/1": "at must be a number, not ''",
    "drift:rate=10,burst=10,at=0,factor=1": "at must be",
    "drift:rate=1e-6,burst=10,at=300,factor=1e-6": "rate times factor must be",
    "none:rate=5": "unknown key 'rate'",
}


@pytest.mark.parametrize("spec", BAD_POLICIES)
def test_a_bad_policy_is_refused_with_its_reason_and_the_known_forms(spec):
    with pytest.raises(ValueError, match=r".") as refused:
        parse_policy(spec)
    message = str(refused.value)
    assert message.startswith(f"bad policy {spec!r}: {BAD_POLICIES[spec]}")
    assert "known forms: token:rate=5,burst=5, fixed:count=50,window=10," in message


@given(st.text(alphabet="token:rate=5,burst/.-+e019nf #", max_size=40))
def test_a_policy_is_made_or_refused_and_a_made_one_answers(text):
    try:
        policy = parse_policy(text)
    except ValueError:
        with pytest.raises(ValueError, match="bad policy "):
            parse_policy(text)
        return
    assert policy.admit(1e9).allowed
    for _ in range(3):
        assert 0.0 <= policy.admit(1e9).retry_after <= 1e9 * 1.001


def test_a_fault_reads_back():
    assert parse_fault("reset@POST /v1/search#3") == Fault("reset", "POST /v1/search", 3)
    for spec in ("reset@POST /v1/search#3", "not-json@GET /v1/users#1x4"):
        assert str(parse_fault(spec)) == spec


BAD_FAULTS = {
    "": "not of the form KIND@METHOD /path#N",
    "reset": "not of the form KIND@METHOD /path#N",
    "reset@GET /v1#": "not of the form KIND@METHOD /path#N",
    "reset@GET /v1#one": "not of the form KIND@METHOD /path#N",
    "reset@GET /v1#-1": "not of the form KIND@METHOD /path#N",
    "reset@GET /v1#99999999999": "not of the form KIND@METHOD /path#N",
    "explode@GET /v1#1": "unknown kind 'explode'; known kinds: not-json, truncated,",
    "reset@GET v1#1": "match must be a method and a path",
    "reset@/v1#1": "match must be a method and a path",
    "reset@GET /v1#0": "nth must be a whole number of at least 1",
    "reset@GET /v1#1x0": "times must be a whole number of at least 1",
}


@pytest.mark.parametrize("spec", BAD_FAULTS)
def test_a_bad_fault_is_refused_with_its_reason(spec):
    with pytest.raises(ValueError, match=r".") as refused:
        parse_fault(spec)
    message = str(refused.value)
    assert message.startswith(f"bad fault {spec!r}: ")
    assert BAD_FAULTS[spec] in message


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"policy": "tokens"}, "bad policy 'tokens': unknown kind"),
        ({"retry_after": "minutes"}, "retry_after must be one of seconds, date, none, exact, not 'minutes'"),
        ({"latency": (0.2, 0.1)}, "latency must be two numbers with 0 <= least <= most"),
        ({"latency": (-1, 0.1)}, "latency must be two numbers with 0 <= least <= most"),
        ({"latency": (0, float("inf"))}, "latency must be two numbers with 0 <= least <= most"),
        ({"latency": (float("nan"), 1)}, "latency must be two numbers with 0 <= least <= most"),
        ({"faults": ["reset"]}, "bad fault 'reset'"),
        ({"row_cap": 0}, "row_cap must be a whole number of at least 1"),
    ],
)
def test_a_bad_argument_of_the_simulator_is_refused(options, reason):
    with pytest.raises(ValueError, match=r".") as refused:
        Simulator(**{"policy": "none", **options})
    assert str(refused.value).startswith(reason)


@pytest.mark.parametrize("counts", [{"users": -1}, {"pages": 1.5}, {"rows": float("nan")}])
def test_a_world_of_no_sensible_size_is_refused(counts):
    [name] = counts
    with pytest.raises(ValueError, match=f"{name} must be a whole number of at least 0"):
        World(**counts)
