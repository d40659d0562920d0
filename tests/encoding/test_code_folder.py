"""What a code table says of its encoder."""

from sparsectr import FieldEncoder
from sparsectr.encoding.code_folder import digest, digest_fields


def test_a_digest_is_of_what_is_learnt():
    X = [["a", 1.0], ["b", 2.0], ["a", 3.5]]
    one, same, other = (
        FieldEncoder().fit(X),
        FieldEncoder().fit(X[::-1]),
        FieldEncoder().fit([["a", 1.0], ["c", 2.0], ["a", 3.5]]),
    )
    assert digest_fields(one) == digest_fields(same)
    assert digest_fields(one) != digest_fields(other)
    assert digest(FieldEncoder()) != digest(FieldEncoder(n_bins=3))
