"""Names of digest algorithms as checksum files spell them."""

import re

# Hexadecimal digits of each. Several share a length: a plain line alone does not distinguish them.
DIGITS = {
    "md5": 32,
    "sha1": 40,
    "sha224": 56,
    "sha256": 64,
    "sha384": 96,
    "sha512": 128,
    "sha512-224": 56,
    "sha512-256": 64,
    "sha3-224": 56,
    "sha3-256": 64,
    "sha3-384": 96,
    "sha3-512": 128,
    "blake2b": 128,
    "blake2b-256": 64,
    "blake2s": 64,
    "blake3": 64,
    "ripemd160": 40,
    "sm3": 64,
    "streebog256": 64,
    "streebog512": 128,
    "whirlpool": 128,
}
# What a plain line of that length holds where nothing else is said.
BY_DIGITS = {DIGITS[name]: name for name in ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")}
_OTHERS = {
    "sha": "sha1",
    "sha2224": "sha224",
    "sha2256": "sha256",
    "sha2384": "sha384",
    "sha2512": "sha512",
    "b2": "blake2b",
    "blake2": "blake2b",
    "blake2b512": "blake2b",
    "blake2s256": "blake2s",
    "b3": "blake3",
    "gost": "streebog256",
    "rmd160": "ripemd160",
    "stribog256": "streebog256",
    "stribog512": "streebog512",
}
_NAMES = {re.sub(r"[^a-z0-9]", "", name): name for name in DIGITS} | _OTHERS

ALGORITHM = r"[A-Za-z][A-Za-z0-9]{0,9}(?:[-_/ ][A-Za-z0-9]{1,4}){0,2}"
HEX = r"[0-9A-Fa-f]{32,128}"


def algorithm_of(spelled: str) -> str:
    """Find the canonical name of an algorithm; empty where there is none of that name."""
    return _NAMES.get(re.sub(r"[-_/ ]", "", spelled.lower()), "")


def algorithm_in(file_name: str) -> str:
    """Find the algorithm that a checksum file's own name states: `b2sums.txt`, `x.img.sha256`."""
    for part in reversed(re.split(r"[._ -]", file_name)):
        plain = re.sub(r"(?:check)?sums?$", "", part, flags=re.IGNORECASE)
        if found := algorithm_of(plain):
            return found
    return ""


def settle(said: str, hint: str, value: str) -> str:
    """Decide what a value is: as its line or heading says, else as the file's name does, else by its length.

    Empty where what is said does not fit the length.
    """
    if said:
        return said if DIGITS[said] == len(value) else ""
    if hint and DIGITS[hint] == len(value):
        return hint
    return BY_DIGITS.get(len(value), "")
