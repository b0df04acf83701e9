"""The monitor's own two themes, and the colours of states in any theme.

All of Textual's themes fit as well, as widgets use only names that every theme has.
"""

from __future__ import annotations

from textual.theme import Theme

DARK = Theme(
    name="jobnb",
    primary="#7aa2f7",
    secondary="#b592f2",
    accent="#7aa2f7",
    warning="#e0b264",
    error="#f2727f",
    success="#73c991",
    foreground="#d5dae5",
    background="#11141b",
    surface="#161a23",
    panel="#1f2531",
    dark=True,
    variables={
        "block-cursor-background": "#2a3a5e",
        "block-cursor-foreground": "#ffffff",
        "block-cursor-text-style": "none",
        "block-cursor-blurred-background": "#232a39",
        "footer-background": "#161a23",
        "footer-key-foreground": "#7aa2f7",
        "footer-description-foreground": "#9aa3b5",
        "input-selection-background": "#7aa2f7 30%",
        "scrollbar": "#2b3343",
        "scrollbar-background": "#161a23",
        "scrollbar-background-hover": "#161a23",
        "scrollbar-background-active": "#161a23",
        "border": "#7aa2f7",
        "border-blurred": "#2b3343",
    },
)

LIGHT = Theme(
    name="jobnb-light",
    primary="#2457c5",
    secondary="#7e22ce",
    accent="#2457c5",
    warning="#97640a",
    error="#b91c1c",
    success="#15803d",
    foreground="#1e2532",
    background="#f2f4f8",
    surface="#fbfcfe",
    panel="#e6eaf1",
    dark=False,
    variables={
        "block-cursor-background": "#d3e0fb",
        "block-cursor-foreground": "#0b1220",
        "block-cursor-text-style": "none",
        "block-cursor-blurred-background": "#e3e8f1",
        "footer-background": "#e6eaf1",
        "footer-key-foreground": "#2457c5",
        "footer-description-foreground": "#4a5568",
        "scrollbar": "#c5cddb",
        "scrollbar-background": "#eef1f6",
        "scrollbar-background-hover": "#eef1f6",
        "scrollbar-background-active": "#eef1f6",
        "border-blurred": "#c5cddb",
    },
)

THEMES = (DARK, LIGHT)
DEFAULT = DARK.name


def with_states(variables: dict[str, str]) -> dict[str, str]:
    """A theme's CSS variables, with a colour for each state of a job: `job-done`, `job-failed` ..."""
    found = {"foreground-disabled": variables["foreground-muted"], **variables}  # the themes of 16 colours have none
    colours = {
        "scheduled": found["foreground-muted"], "in_progress": found["text-primary"],
        "done": found["text-success"], "failed": found["text-error"], "timeout": found["text-error"],
        "cancelled": found["text-warning"], "lost": found["text-secondary"],
    }  # fmt: skip
    return {**found, **{f"job-{state}": colour for state, colour in colours.items()}}
