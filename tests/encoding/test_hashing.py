"""Hashed codes: stable, equal for equal values, well spread."""

import struct
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsectr.encoding.hashing import Buckets, hash_values


def objects(*values):
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


# Two references, written from the definitions: the hash is a promise that models on disk rely on.

MASK = 2**64 - 1
KEY = b"sparsectr-fields"


def sip_hash(data):
    """Compute SipHash-2-4 (Aumasson and Bernstein, 2012)."""
    k0, k1 = (int.from_bytes(KEY[i : i + 8], "little") for i in (0, 8))
    v = [k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D]
    v += [k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573]

    def half(a, b, shift, rotation):
        v[a] = (v[a] + v[b]) & MASK
        v[b] = (v[b] << shift | v[b] >> 64 - shift) & MASK ^ v[a]
        v[a] = (v[a] << rotation | v[a] >> 64 - rotation) & MASK if rotation else v[a]

    def rounds(n):
        for _ in range(n):
            half(0, 1, 13, 32)
            half(2, 3, 16, 0)
            half(0, 3, 21, 0)
            half(2, 1, 17, 32)

    whole = len(data) // 8 * 8
    blocks = [data[i : i + 8] for i in range(0, whole, 8)]
    blocks.append(data[whole:].ljust(7, b"\0") + bytes([len(data) % 256]))
    for block in blocks:
        m = int.from_bytes(block, "little")
        v[3] ^= m
        rounds(2)
        v[0] ^= m
    v[2] ^= 0xFF
    rounds(4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def mix(number):
    """Compute the finaliser of SplitMix64 (Steele, Lea and Flood, 2014)."""
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9 & MASK
    number = (number ^ number >> 27) * 0x94D049BB133111EB & MASK
    return number ^ number >> 31


@given(st.text(max_size=40))
def test_strings_are_hashed_by_sip_hash_and_mixed(text):
    assert hash_values(objects(text))[0] == mix(sip_hash(text.encode()))


@given(st.integers(-(2**63), 2**64 - 1))
def test_whole_numbers_are_mixed(number):
    assert hash_values(objects(number))[0] == mix(number % 2**64)


@given(st.floats(allow_nan=False).filter(lambda v: not v.is_integer()))
def test_other_numbers_are_mixed_by_their_bits(number):
    assert hash_values(objects(number))[0] == mix(struct.unpack("<Q", struct.pack("<d", number))[0])


@pytest.mark.parametrize(
    "values",
    [
        objects(7, 7.0, Decimal(7), np.int8(7), np.float32(7)),
        objects(True, 1, 1.0, np.True_),
        objects(2**70, 2.0**70),
        objects(2.5, Decimal("2.5"), np.float32(2.5)),
        objects(
            datetime(2020, 1, 1, tzinfo=UTC),
            pd.Timestamp("2020-01-01T01:00", tz="Europe/Oslo"),
        ),
        objects(datetime(2020, 1, 1), pd.Timestamp("2020-01-01").as_unit("ns")),
    ],
)
def test_equal_values_have_equal_hashes(values):
    assert len(set(hash_values(values).tolist())) == 1


@given(st.integers(-(2**63), 2**63 - 1))
def test_integers_hash_alike_in_every_dtype(number):
    hashes = [hash_values(objects(number)), hash_values(np.array([number], dtype=np.int64))]
    if number >= 0:
        hashes.append(hash_values(np.array([number], dtype=np.uint64)))
    assert len({int(h[0]) for h in hashes}) == 1


@given(st.floats(allow_nan=False))
def test_floats_hash_alike_in_every_dtype(number):
    assert hash_values(objects(number))[0] == hash_values(np.array([number]))[0]


def test_times_hash_alike_in_every_dtype():
    time = np.array(["2020-01-01T12"], dtype="M8[s]")
    expected = hash_values(objects(pd.Timestamp("2020-01-01T12")))
    for unit in ("s", "ms", "us", "ns"):
        assert hash_values(time.astype(f"M8[{unit}]")) == expected


def test_text_number_and_bytes_differ():
    assert len(set(hash_values(objects("1", 1, b"1", (1,), "\ud800")).tolist())) == 5


def test_a_hash_does_not_depend_on_its_neighbours():
    alone = [int(hash_values(objects(v))[0]) for v in ("a", 1, 2.5, (1,))]
    assert hash_values(objects("a", 1, 2.5, (1,))).tolist() == alone


def test_buckets_are_filled_evenly():
    buckets = Buckets(10)
    codes = buckets.codes(objects(*(f"value {i}" for i in range(10_000))))
    counts = np.bincount(codes, minlength=buckets.size)
    assert buckets.size == 12
    assert counts[:2].tolist() == [0, 0]
    assert counts[2:].min() > 900  # 1000 expected, standard deviation 30
