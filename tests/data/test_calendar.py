"""Time columns: what they say is read, and each of their faults is named by its rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carousel.data import (
    DataError,
    Table,
    as_table,
    calendar_features,
    fill_gaps,
    find_time,
    infer_frequency,
    time_index,
)
from carousel.data.dates import parse_times, times_as_text


def table(times: list[str], **more: list[float]) -> Table:
    return as_table({"t": times, "v": list(range(len(times))), **more}, "demand.csv")


def texts(start: str, step: str, rows: int) -> list[str]:
    return np.datetime_as_string(np.datetime64(start, "s") + np.arange(rows) * np.timedelta64(*step_of(step))).tolist()


def step_of(step: str) -> tuple[int, str]:
    return int(step[:-1]), step[-1]


@pytest.mark.parametrize(
    ("times", "name", "following", "seasons"),
    [
        (texts("2020-01-01", "1h", 30), "hour", "2020-01-02T06:00", (24, 168, 8766)),
        (texts("2020-01-01", "30m", 30), "30 minutes", "2020-01-01T15:00", (48, 336, 17532)),
        (texts("2020-01-01", "10s", 3), "10 seconds", "2020-01-01T00:00:30", (8640, 60480, 3155760)),
        (texts("2020-02-27", "1D", 4), "day", "2020-03-02", (7, 365)),
        (texts("2020-01-01", "7D", 60), "week", "2021-02-24", (52,)),
        (["2020-01-01", "2020-02-01", "2020-03-01"], "month", "2020-04-01", (12,)),
        (["2020-01-31", "2020-02-29", "2020-03-31"], "month", "2020-04-30", (12,)),
        (["2020-11", "2020-12", "2021-01"], "month", "2021-02-01", (12,)),
        (["2020Q3", "2020Q4", "2021Q1"], "quarter", "2021-04-01", (4,)),
        (["2020-02-29", "2021-02-28", "2022-02-28"], "year", "2023-02-28", ()),
        (["2018-06-01", "2019-06-01", "2020-06-01"], "year", "2021-06-01", ()),
        (["2024-03-07", "2024-03-08", "2024-03-11", "2024-03-12", "2024-03-13"], "business day", "2024-03-14", (5,)),
    ],
)
def test_frequency_is_inferred_and_extended(
    times: list[str], name: str, following: str, seasons: tuple[int, ...]
) -> None:
    index = time_index(table(times), "t")
    assert str(index.frequency) == name
    assert index.extend(1).texts() == [following]
    assert index.frequency is not None and index.frequency.seasons() == seasons


@given(st.sampled_from([(1, "h"), (15, "m"), (1, "D"), (7, "D"), (1, "M"), (3, "M"), (1, "Y")]), st.integers(3, 40))
def test_extending_a_head_gives_the_tail(step: tuple[int, str], rows: int) -> None:
    unit = step[1] if step[1] in "MY" else "s"
    times = (np.datetime64("2019-01-01", unit) + np.arange(rows + 5) * np.timedelta64(*step)).astype("M8[us]")
    whole = Table({"t": times})
    index = time_index(whole.take(np.arange(rows)), "t")
    np.testing.assert_array_equal(index.extend(5).times, times[rows:])


def test_season_is_the_shortest_that_fits() -> None:
    index = time_index(table(texts("2020-01-01", "1h", 5)), "t")
    assert (index.season(), index.season(24), index.season(23)) == (24, 24, 1)


def test_plain_steps() -> None:
    index = time_index(as_table({"t": [1990, 1991, 1992]}), "t")
    assert index.extend(2).texts() == ["1993", "1994"] and index.season() == 1
    assert calendar_features(index)[0].shape == (3, 0)


def test_compact_dates_are_dates() -> None:
    assert time_index(as_table({"t": [20200130, 20200131]}), "t").extend(1).texts() == ["2020-02-01"]


def test_one_row_has_no_step() -> None:
    index = time_index(table(["2020-01-01"]), "t")
    assert index.frequency is None and index.season() == 1
    with pytest.raises(DataError, match="at least two rows"):
        index.extend(1)


@pytest.mark.parametrize(
    ("given_text", "iso"),
    [
        ("2020/1/5", "2020-01-05"),
        ("31.12.2020", "2020-12-31"),
        ("1.2.2020 7:30", "2020-02-01T07:30"),
        ("31/12/2020", "2020-12-31"),
        ("12/31/2020 18:00", "2020-12-31T18:00"),
        ("2020-01-05 06:07:08.5", "2020-01-05T06:07:08.500000"),
    ],
)
def test_common_forms(given_text: str, iso: str) -> None:
    times, zone = parse_times([given_text, ""])
    assert times_as_text(times) == [iso, ""] and zone == ""


@pytest.mark.parametrize(
    ("stated", "zone"), [("Z", "+00:00"), ("+0130", "+01:30"), ("-05", "-05:00"), (" UTC", "+00:00")]
)
def test_offsets_are_kept_and_written_back(stated: str, zone: str) -> None:
    source = table([f"2020-01-01T0{hour}:00{stated}" for hour in range(3)])
    assert source.zones == {"t": zone}
    assert time_index(source, "t").extend(1).texts() == [f"2020-01-01T03:00{zone}"]


HOURS = texts("2020-01-01", "1h", 6)
FAULTS = {
    "unsorted": (
        [*HOURS[:3], HOURS[4], HOURS[3]],
        "not sorted: 2020-01-01T04:00 at row 3 comes before 2020-01-01T03:00",
    ),
    "duplicate": ([*HOURS[:3], HOURS[2]], "has 2020-01-01T02:00 twice, at row 2 and row 3"),
    "far duplicate": ([*HOURS, HOURS[0]], "has 2020-01-01T00:00 twice, at row 0 and row 6"),
    "gap": (
        [*HOURS[:3], HOURS[5]],
        "leaves out 2 of its steps .* between 2020-01-01T02:00 at row 2 and 2020-01-01T05:00",
    ),
    "irregular": (
        [*HOURS[:4], "2020-01-01T03:17"],
        "2020-01-01T03:17 at row 4 is off the grid of its usual step \\(hour\\)",
    ),
    "off month": (["2020-01-01", "2020-02-01", "2020-03-02", "2020-04-01"], "irregular"),
    "zones": (["2020-01-01T00:00+01:00", "2020-01-01T01:00+02:00"], "row 1: .* state different time zones"),
    "half a zone": (["2020-01-01T00:00Z", "2020-01-01T01:00"], "row 1: .* or one states none; convert them to UTC"),
    "no date": (["2020-01-01", "2020-02-30"], "row 1: '2020-02-30' is not a date; write dates as 2020-01-31"),
    "words": (["2020-01-01", "soon"], "row 1: 'soon' is not a date"),
    "ambiguous": (["01/02/2020", "03/02/2020"], "row 0: '01/02/2020' may mean day/month or month/day"),
    "empty": (["2020-01-01", ""], "is empty at row 1; give every row a time"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_named(name: str) -> None:
    times, message = FAULTS[name]
    with pytest.raises(DataError, match=message):
        time_index(table(times), "t")


def test_rows_are_counted_as_the_source_counts_them() -> None:
    part = table([HOURS[0], HOURS[2], HOURS[1]]).take(np.array([1, 2]))
    with pytest.raises(DataError, match="at row 1 comes before .* at row 2"):
        time_index(part, "t")


def test_gaps_are_filled_with_missing_values() -> None:
    filled = fill_gaps(table([*HOURS[:2], HOURS[4]], w=[5.0, 6.0, 7.0]), "t")
    assert len(time_index(filled, "t")) == 5
    np.testing.assert_array_equal(filled.numbers(["v", "w"]).T, [[0, 1, np.nan, np.nan, 2], [5, 6, np.nan, np.nan, 7]])


def test_filling_leaves_whole_tables_alone_and_refuses_what_is_irregular() -> None:
    whole = table(HOURS)
    assert fill_gaps(whole, "t") is whole
    with pytest.raises(DataError, match="irregular"):
        fill_gaps(table([*HOURS[:3], "2020-01-01T02:30"]), "t")


def test_find_time() -> None:
    assert find_time(table(HOURS)) == "t"
    assert find_time(table([*HOURS, "soon"])) == "t"
    assert find_time(table(["01/02/2020"])) == "t"
    assert find_time(as_table({"v": [1.0], "name": ["x"]})) is None
    with pytest.raises(DataError, match="several columns of times: 't', 'u'"):
        find_time(as_table({"t": HOURS, "u": HOURS}))


def test_calendar_features_turn_with_the_clock() -> None:
    times = ["2024-01-01T00:00", "2024-01-01T06:00", "2024-01-01T12:00", "2024-01-01T18:00"]
    values, names = calendar_features(time_index(table(times), "t"))
    assert names == tuple(
        f"{cycle}_{part}" for cycle in ("hour_of_day", "day_of_week", "day_of_year") for part in ("sin", "cos")
    )
    np.testing.assert_allclose(values[:, 0], [0, 1, 0, -1], atol=1e-12)
    np.testing.assert_allclose(values[0], [0, 1, 0, 1, 0, 1], atol=1e-12)


def test_slow_series_have_no_fast_cycles() -> None:
    daily = calendar_features(time_index(table(texts("2020-01-01", "1D", 4)), "t"))[1]
    monthly = calendar_features(time_index(table(["2020-01-01", "2020-02-01"]), "t"))[1]
    assert daily[0] == "day_of_week_sin" and monthly == ("day_of_year_sin", "day_of_year_cos")


def test_frequency_of_one_time_is_unknown() -> None:
    assert infer_frequency(np.array(["2020-01-01"], dtype="M8[us]")) is None
