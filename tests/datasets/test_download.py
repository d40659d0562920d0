import gzip
import hashlib
import zipfile
from urllib.error import HTTPError

import numpy as np
import pytest

from sparsectr.datasets import download as module
from sparsectr.datasets.download import (
    check_members,
    data_folder,
    download,
    find_download,
    open_member,
)

CONTENT = np.random.default_rng(0).bytes(3_000_000)
MD5 = hashlib.md5(CONTENT).hexdigest()


@pytest.fixture
def server(serve):
    return serve(CONTENT)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "file.zip"


def part_of(path):
    return path.with_name(path.name + ".part")


def files_in(folder):
    return sorted(p.name for p in folder.iterdir())


def test_file_comes_and_is_not_fetched_again(server, path):
    for _ in range(2):
        assert download(server.url, path, md5=MD5) == path
        assert path.read_bytes() == CONTENT
    assert server.asked == [0]
    assert files_in(path.parent) == ["file.zip"]


@pytest.mark.parametrize("cuts", [[0], [1], [2_999_999], [1_000_000, 0, 1_500_000]])
def test_download_goes_on_where_the_connection_broke(server, answer, path, cuts):
    server.plan = [answer(cut=cut) for cut in cuts]
    download(server.url, path, md5=MD5)
    assert path.read_bytes() == CONTENT
    assert server.asked == [0, *np.cumsum(cuts)]
    assert server.sent == len(CONTENT)  # no byte twice


def test_next_call_goes_on_where_the_last_one_failed(server, answer, path, monkeypatch):
    monkeypatch.setattr(module, "N_RETRIES", 1)
    server.plan = [answer(cut=1_000), answer(cut=10)]
    with pytest.raises(OSError, match=r"in 2 attempts .*call again to go on"):
        download(server.url, path)
    assert not path.exists()
    assert part_of(path).read_bytes() == CONTENT[:1_010]
    download(server.url, path)
    assert path.read_bytes() == CONTENT
    assert server.asked == [0, 1_000, 1_010]


def test_server_that_ignores_ranges_sends_all_of_it(server, answer, path):
    server.knows_ranges = False
    server.plan = [answer(cut=2_000_000), answer(cut=1_000_000)]
    download(server.url, path, md5=MD5)
    assert path.read_bytes() == CONTENT
    assert server.asked == [0, 2_000_000, 1_000_000]


def test_wrong_range_is_not_appended(server, answer, path):
    server.plan = [answer(cut=1_000), answer(honest=False)]
    download(server.url, path, md5=MD5)
    assert path.read_bytes() == CONTENT
    assert server.asked == [0, 1_000, 1_000]


@pytest.mark.parametrize(("held", "asked"), [(CONTENT, 1), (CONTENT + b"more", 2)])
def test_part_that_holds_all_is_kept_and_a_longer_one_is_not(server, path, held, asked):
    path.parent.mkdir()
    part_of(path).write_bytes(held)
    download(server.url, path, md5=MD5)
    assert path.read_bytes() == CONTENT
    assert len(server.asked) == asked
    assert files_in(path.parent) == ["file.zip"]


def test_wrong_checksum_raises_and_leaves_no_file(server, path):
    with pytest.raises(OSError, match=f"must be {'0' * 32}, got {MD5}"):
        download(server.url, path, md5="0" * 32)
    assert files_in(path.parent) == []


def test_file_that_lay_there_is_checked_and_kept(server, path):
    path.parent.mkdir()
    path.write_bytes(b"another file")
    with pytest.raises(OSError, match="delete it to download it again"):
        download(server.url, path, md5=MD5)
    assert path.read_bytes() == b"another file"
    assert server.asked == []


def test_errors_of_the_server_are_retried_and_those_of_the_address_are_not(server, answer, path):
    server.plan = [answer(status=503), answer(status=500)]
    download(server.url, path, md5=MD5)
    assert path.read_bytes() == CONTENT
    path.unlink()
    server.asked.clear()
    server.plan = [answer(status=404)]
    with pytest.raises(HTTPError, match="404"):
        download(server.url, path)
    assert server.asked == [0]


def test_file_address_replaces_what_was_held(path):
    source = path.parent.with_name("source")
    source.write_bytes(CONTENT)
    path.parent.mkdir()
    part_of(path).write_bytes(b"old")
    download(source.as_uri(), path, md5=MD5)
    assert path.read_bytes() == CONTENT


def test_missing_file_is_not_downloaded_unasked(server, path):
    with pytest.raises(FileNotFoundError, match="download_if_missing=False"):
        download(server.url, path, allowed=False)
    assert server.asked == []


def test_data_folder_follows_scikit_learn(tmp_path, monkeypatch):
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "home"))
    assert data_folder("a", None) == tmp_path / "home" / "sparsectr" / "a"
    assert data_folder("a", tmp_path) == tmp_path / "sparsectr" / "a"


def test_download_by_hand_is_found_or_asked_for(tmp_path):
    usual, own = tmp_path / "train.gz", tmp_path / "mine"
    for path in (None, own):
        with pytest.raises(FileNotFoundError, match=r"Get train\.gz from PAGE and put it at "):
            find_download(path, usual, "PAGE")
    usual.touch()
    assert find_download(None, usual, "PAGE") == usual
    own.touch()
    assert find_download(str(own), usual, "PAGE") == own


@pytest.mark.parametrize("kind", ["plain", "gzip", "zip", "gzip in zip"])
def test_member_opens_however_it_is_packed(tmp_path, kind):
    body = b"a,b\n1,2\n"
    packed = gzip.compress(body) if "gzip" in kind else body
    name = "train.gz" if "gzip" in kind else "train"
    path = tmp_path / name
    if "zip" in kind.split():
        path = tmp_path / "all.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("folder/test.gz", b"no")
            archive.writestr(f"folder/{name}", packed)
    else:
        path.write_bytes(packed)
    with open_member(path, "train", "train.gz") as file:
        assert file.read() == body
    with open_member(path, "train", "train.gz") as file:
        assert b"".join(iter(lambda: file.read(3), b"")) == body


def test_zip_without_the_member_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("other", b"")
    with (
        pytest.raises(ValueError, match=r"a\.zip must hold x or y"),
        open_member(tmp_path / "a.zip", "x", "y"),
    ):
        pass


def test_members_are_checked_and_a_bad_archive_goes(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x", CONTENT)
    check_members(path, {"x": MD5})
    assert path.exists()
    with pytest.raises(OSError, match=r"must be 1, got .* from x in"):
        check_members(path, {"x": "1"})
    assert not path.exists()
