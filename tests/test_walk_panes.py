"""The panes of the random walk show what they are told."""

import pytest
from stage.panes import three_panes
from stage.walk import ChangesPane, WalkPane, signed

TRUTH = {"A": 0.25, "B": 0.5, "C": 0.75}
ENDS = {"left": 0.0, "right": 1.0}


def test_bars_stand_as_high_as_the_beliefs_and_the_walker_is_framed():
    pane = WalkPane(three_panes()[0], TRUTH, ENDS, ("one", "other"))
    pane.show("now", ({"A": 0.0, "B": 0.5, "C": 1.0}, TRUTH), "right")
    whole = pane.ceiling - pane.floor
    heights = {key: bar.get_height() / whole for key, bar in pane.bars.items()}
    assert heights == pytest.approx(
        {(0, "A"): 0, (0, "B"): 0.5, (0, "C"): 1, (1, "A"): 0.25, (1, "B"): 0.5, (1, "C"): 0.75}
    )
    assert pane.now.get_visible() and pane.now.get_xy() == pane.corner["right"]
    pane.show("later", (TRUTH, TRUTH))
    assert not pane.now.get_visible() and pane.title.get_text() == "later"


def test_a_row_can_be_shown_without_learners():
    pane = WalkPane(three_panes()[0], TRUTH, ENDS)
    pane.show("the truth", now="B")
    assert not pane.bars and pane.now.get_xy() == pane.corner["B"]


def test_of_a_long_walk_the_last_places_are_shown_with_their_changes():
    pane = ChangesPane(three_panes()[1], ("one", "other"), room=3)
    pane.show("walk", ["A", "B", "A", "B"], [0.0, 0.1, -0.05], [None, 0.2])
    assert [text.get_text() for text in pane.names] == ["B", "A", "B"]
    assert [text.get_text() for text in pane.above] == ["+.100", "−.050", ""]
    assert [text.get_text() for text in pane.below] == ["+.200", "", ""]
    pane.show("walk", ["A"], [], [])
    assert [box.get_visible() for box in pane.boxes] == [True, False, False]


def test_changes_are_written_with_a_sign():
    written = [signed(change) for change in (0.05, -0.0504, 0.0, 0.0001, -0.0001, 1.0)]
    assert written == ["+.050", "−.050", "0", "0", "0", "+1.000"]
