"""The tile of a program; this needs neither Triton nor a graphics processor."""

import pytest

from carousel.ops.triton import tiles
from carousel.ops.triton.tiles import Tile


def test_few_sequences_split_the_depth_and_many_do_not() -> None:
    few, many = (tiles.best(tiles.there(batch, 1024, 1024, 2), 1) for batch in (1, 256))
    assert few.batch == 16 and few.split == few.warps
    assert many.batch >= 64 and many.split == 1


def test_no_tile_has_twice_the_sequences_that_there_are() -> None:
    for batch, most in ((0, 16), (1, 16), (17, 32), (40, 64), (300, 128)):
        found = {tile.batch for tile in tiles.possible(tiles.there(batch, 64, 64, 4), 1)}
        assert max(found) == most


def test_a_tile_holds_a_block() -> None:
    work = tiles.back(16, 96, 384, 4)
    assert all(tile.cells >= 32 for tile in tiles.possible(work, 32))


@pytest.mark.parametrize("numbers", [2, 4, 8])
@pytest.mark.parametrize("hidden", [16, 100, 512, 768, 1024, 2048])
@pytest.mark.parametrize(
    "chip", [tiles.H100, tiles.Chip(128, 99 * 1024, 24 * 1024**3), tiles.Chip(40, 64 * 1024, 8 * 1024**3)]
)
def test_stages_fit_and_are_no_more_than_there_is_to_read(hidden: int, numbers: int, chip: tiles.Chip) -> None:
    for work in (tiles.there(64, hidden, hidden, numbers), tiles.back(64, hidden, 4 * hidden, numbers)):
        for tile in tiles.possible(work, 1, chip):
            at_once = tile.split * tile.depth
            ahead = tile.stages - 1
            assert at_once * work.stage(tile.batch, tile.cells) * ahead <= chip.ahead(work.sums(tile.batch, tile.cells))
            assert tile.split * work.sums(tile.batch, tile.cells) <= max(tiles.SUMS, work.sums(tile.batch, tile.cells))
            assert (ahead - 1) * at_once < work.deep


def test_time_grows_with_what_is_read_and_with_rounds() -> None:
    small, large = tiles.there(16, 512, 512, 2), tiles.there(16, 512, 512, 4)
    tile = Tile(16, 16, 4, 32, 4, 3)
    assert tiles.nanoseconds(small, tile) < tiles.nanoseconds(large, tile)
    waves = [tiles.nanoseconds(tiles.there(batch, 512, 16, 2), tile) for batch in (64, 128)]
    assert waves[1] - waves[0] >= tiles.WAIT
