"""Letters on pictures that are kept: their font, what fits, and a shaded label. Used by films and explanations."""

from PIL import ImageDraw, ImageFont

LETTERS_PX, LINE_PX, MARGIN_PX = 13, 20, 5  # of a caption; chosen by eye
PAPER, INK, SHADE = "white", "black", (0, 0, 0, 150)  # colours; letters on a picture are shaded, chosen by eye
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def font(letters_px: int = LETTERS_PX) -> Font:
    """The font of all captions."""
    return ImageFont.load_default(letters_px)


def fitted(text: str, letters: Font, width_px: int) -> str:
    """The beginning of a text, as much as fits between the margins of `width_px`."""
    while letters.getlength(text) > width_px - 2 * MARGIN_PX:
        text = text.removesuffix("…")[:-1] + "…"
    return text


def label(draw: ImageDraw.ImageDraw, corner: tuple[int, int], text: str, letters: Font) -> None:
    """Write a text on a picture, shaded, its lower left end at `corner`; `draw` must be of mode RGBA."""
    draw.rectangle(draw.textbbox(corner, text, font=letters, anchor="lb"), fill=SHADE)
    draw.text(corner, text, fill=PAPER, font=letters, anchor="lb")
