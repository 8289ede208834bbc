"""Texts whose left and right nobody here can judge: other scripts, and other languages in Latin letters.

English and Chinese are known. A text in another script, or one with the other word for left or right in it, is
refused, as a flip would leave its words wrong.
"""

import re

from curate.errors import SampleError

_KNOWN = (
    "A-Za-zªºÀ-ÖØ-öø-\u02ff"  # Latin, IPA, modifier letters
    "\u1d00-\u1dbf\u1e00-\u1eff\u2c60-\u2c7f\ua720-\ua7ff\uab30-\uab6f\ufb00-\ufb06\uff21-\uff3a\uff41-\uff5a"
    "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
    "\u2100-\u218f\U0001d400-\U0001d7ff"  # letters as signs: ℃, Ⅳ, 𝐀
)
_LETTER = re.compile(r"[^\W\d_]")
_FOREIGN = re.compile(rf"(?![{_KNOWN}])[^\W\d_]")
_KANA = re.compile("[\u3041-\u3096\u30a1-\u30fa\uff66-\uff9d]")

_SIDES_IN_SCRIPTS = (
    *("يسار", "يمين", "أيسر", "ايسر", "أيمن", "ايمن", "چپ", "راست"),  # Arabic, Persian
    *("שמאל", "ימין", "ימני"),  # Hebrew
    *("ひだり", "みぎ", "レフト", "ライト"),  # Japanese
    *("왼쪽", "오른쪽", "왼", "오른", "좌측", "우측", "좌", "우회전"),  # Korean
    *("лев", "прав", "ліво", "ліва", "ляво", "дясно", "десно"),  # Cyrillic
    *("ซ้าย", "ขวา", "ຊ້າຍ", "ຂວາ", "ឆ្វេង", "ស្តាំ"),  # Thai, Lao, Khmer
    *("αριστερ", "δεξι", "बाएं", "बाएँ", "बायें", "बायीं", "बाईं", "दाएं", "दाएँ", "दायें", "दायीं", "दाईं"),
    *("বাম", "ডান", "இடது", "வலது", "ఎడమ", "కుడి"),  # Bengali, Tamil, Telugu
    *("ձախ", "աջ", "მარცხნ", "მარჯვნ"),  # Armenian, Georgian
)
_SIDE_IN_SCRIPT = re.compile("|".join(map(re.escape, _SIDES_IN_SCRIPTS)))

LANGUAGES = (
    "gauche",
    "droite",
    "izquierd(?:a|o|as|os)",
    "derech(?:a|o|as|os)",
    "esquerd(?:a|o|as|os)",
    "direit(?:a|o|as|os)",
    "sinistr(?:a|o)",
    "destr(?:a|o)",
    "esquerra",
    "dreta",
    "stânga",
    "dreapta",
    "rechts",
    "linke[nrs]?",
    "rechte[nrs]?",
    "linkerkant",
    "linkerhand",
    "rechterkant",
    "rechterhand",
    "vänster",
    "höger",
    "venstre",
    "højre",
    "høyre",
    "vasemmalla",
    "vasemmassa",
    "oikealla",
    "oikeassa",
    "lew(?:a|ej|y|ym|o)",
    "praw(?:a|ej|y|ym|o)",
    "vlevo",
    "vpravo",
    "lijevo",
    "desno",
    "kiri",
    "kanan",
    "trái",
    "phải",
    "solda",
    "sağda",
    "solunda",
    "sağında",
)
"""Whole words that are left or right in another language in Latin letters; `links` alone is English too."""

GERMANIC = "links"
"""Left in German and Dutch, refused where a word beside it is one of theirs."""

_GERMANIC = re.compile(
    r"\blinks\b(?=[^\w\n]{1,3}(?:und|von|vom|im|auf|oben|unten|neben|der|das|dem|den|ein|eine|vorn|vorne|hinten|steht|ist"
    r"|van|op|het|een|naast|onder|boven|achter|voor|staat|zit)\b)"
    r"|\b(?:und|von|vom|ganz|oben|unten|nach|der|das|dem|den|ist|steht|sitzt|mann|frau|bild|het|een|van|naar|staat|zit"
    r"|helemaal)\b[^\w\n]{1,3}links\b"
)


def refuse_scripts(low: str) -> None:
    """Judge a lower-case text; linear in its length.

    Raises:
        SampleError: `flip_script` where most letters are neither Latin nor Han, where such letters spell left or
            right, or where 左 or 右 stands among kana; `flip_language` for German and Dutch `links`.
    """
    if GERMANIC in low and (found := _GERMANIC.search(low)):
        raise SampleError("flip_language", f"{found[0][:60]!r} at character {found.start()}")
    if low.isascii():
        return
    first = _FOREIGN.search(low)
    if first is None:
        return
    side = _SIDE_IN_SCRIPT.search(low, max(0, first.start() - 1))
    if side:
        raise SampleError("flip_script", f"{side[0]!r} at character {side.start()}")
    if ("左" in low or "右" in low) and (kana := _KANA.search(low)):
        raise SampleError("flip_script", f"left or right among kana, at character {kana.start()}")
    foreign = sum(1 for _ in _FOREIGN.finditer(low))
    letters = sum(1 for _ in _LETTER.finditer(low))
    if 2 * foreign > letters:
        where = first.start()
        raise SampleError("flip_script", f"{foreign} of {letters} letters, first {low[where]!r} at character {where}")
