"""The nodes known last, as bytes: whole they come back, damaged they are left out, and nothing else ever comes."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from vyked_host.catalog.last_known import kept, recalled
from vyked_host.contracts import Address, Instance, NodeRecord


def record(at, mesh="m"):
    instance = Instance(service=f"shop{at}", version="1.2.3", status="active", requires=("cart",), weight=0.5)
    address = Address(transport="tcp", uri=f"tcp://10.0.0.{at}:4502")
    return NodeRecord(
        node_id=f"node-{at}", namespace=mesh, addresses=(address,), instances=(instance,), labels={"zone": "ö\n"}
    )


RECORDS = {each.node_id: each for each in (record(at) for at in range(8))}
WHOLE = kept(RECORDS.values(), "m")


def test_what_is_kept_comes_back():
    assert recalled(WHOLE, "m") == (RECORDS, 0)
    assert recalled(b"", "m") == ({}, 0)


def test_a_file_of_another_mesh_says_nothing():
    assert recalled(WHOLE, "other") == ({}, 8)
    assert recalled(kept([record(1, "other")], "m"), "m") == ({}, 1)


def test_a_damaged_line_costs_that_record_and_no_other():
    lines = WHOLE.split(b"\n")
    lines[3] = lines[3].replace(b"10.0.0.3", b"10.0.0.9")
    found, refused = recalled(b"\n".join(lines), "m")
    assert (sorted(set(RECORDS) - set(found)), refused) == (["node-3"], 1)


mutations = st.lists(
    st.one_of(
        st.tuples(st.just("flip"), st.integers(0, len(WHOLE) * 8 - 1)),
        st.tuples(st.just("cut"), st.integers(0, len(WHOLE))),
        st.tuples(st.just("drop"), st.integers(0, len(WHOLE) - 1)),
        st.tuples(st.just("insert"), st.integers(0, len(WHOLE))),
        st.tuples(st.just("twice"), st.integers(0, len(WHOLE))),
    ),
    min_size=1,
    max_size=4,
)


def mutated(steps, junk):
    data = bytearray(WHOLE)
    for kind, at in steps:
        if kind == "flip" and at < len(data) * 8:
            data[at // 8] ^= 1 << at % 8
        elif kind == "cut":
            del data[at:]
        elif kind == "drop":
            del data[at : at + 7]
        elif kind == "insert":
            data[at:at] = junk
        elif kind == "twice":
            data += data[at:]
    return bytes(data)


@settings(max_examples=500, deadline=None)
@given(mutations, st.binary(max_size=40))
@example([("cut", 0)], b"")
def test_R15_no_damage_gives_a_wrong_entry(steps, junk):
    found, _ = recalled(mutated(steps, junk), "m")
    assert found.items() <= RECORDS.items()


@settings(max_examples=100)
@given(st.binary(max_size=200))
def test_R15_junk_gives_nothing(junk):
    assert recalled(junk, "m")[0] == {}
