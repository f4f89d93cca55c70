"""XXH3 of 128 bits in plain Python, with the seed 0, for inputs of more than 240 bytes. All segments are longer."""

from array import array

SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221"
    "b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb"
    "170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e"
)
PRIME32 = (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D)
PRIME64 = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5)
MASK = 0xFFFFFFFFFFFFFFFF
STRIPE, BLOCK = 64, 1024


def words(data):
    return array("Q", data)


def accumulate(lanes, stripes, secret_at):
    """Adds consecutive stripes. The key of each begins 8 bytes after the key of the one before."""
    data = words(stripes)
    for stripe in range(len(data) // 8):
        key = words(SECRET[secret_at + 8 * stripe : secret_at + 8 * stripe + STRIPE])
        for lane in range(8):
            value = data[8 * stripe + lane]
            mixed = value ^ key[lane]
            lanes[lane ^ 1] += value
            lanes[lane] += (mixed & 0xFFFFFFFF) * (mixed >> 32)
    for lane in range(8):
        lanes[lane] &= MASK


def scramble(lanes):
    for lane, key in enumerate(words(SECRET[-STRIPE:])):
        value = lanes[lane]
        lanes[lane] = (value ^ value >> 47 ^ key) * PRIME32[0] & MASK


def merge(lanes, secret_at, start):
    key = words(SECRET[secret_at : secret_at + STRIPE])
    for lane in range(0, 8, 2):
        product = (lanes[lane] ^ key[lane]) * (lanes[lane + 1] ^ key[lane + 1])
        start += product & MASK ^ product >> 64
    start &= MASK
    start = (start ^ start >> 37) * 0x165667919E3779F9 & MASK
    return start ^ start >> 32


def xxh3_128(data):
    """The hash in its canonical form."""
    assert len(data) > 240
    lanes = [PRIME32[2], *PRIME64[:4], PRIME32[1], PRIME64[4], PRIME32[0]]
    last = (len(data) - 1) // BLOCK * BLOCK
    for at in range(0, last, BLOCK):
        accumulate(lanes, data[at : at + BLOCK], 0)
        scramble(lanes)
    accumulate(lanes, data[last : last + (len(data) - 1 - last) // STRIPE * STRIPE], 0)
    accumulate(lanes, data[-STRIPE:], len(SECRET) - STRIPE - 7)
    low = merge(lanes, 11, len(data) * PRIME64[0])
    high = merge(lanes, len(SECRET) - STRIPE - 11, ~(len(data) * PRIME64[1]) & MASK)
    return high.to_bytes(8, "big") + low.to_bytes(8, "big")
