"""Texts that differ in figures only are alike. Called by pytest."""

from runtime.host.figures import without_figures


def test_figures_do_not_count_and_words_do() -> None:
    assert without_figures("no new frame for 90.5 ms (limit 80 ms)") == "no new frame for # ms (limit # ms)"
    assert without_figures("frames are 90 ms old") != without_figures("frames are 90 ms late")
