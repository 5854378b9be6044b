//! DEFLATE (RFC 1951) of one chunk: a pure function from at most 2 MiB to byte-aligned, non-final blocks.
//!
//! Owns the choice of every bit: matches, block limits, codes. `book/src/encoding-1-deflate.md` describes
//! it and is normative; nothing here may change once encoding 1 is frozen. Must not look at anything but
//! the chunk: no dictionary, no floats, no CPU detection, no trace of what [`State`] was used for before.
//! Arithmetic in the inner loops is wrapping, because release builds check overflow.

/// The longest chunk.
pub(crate) const MAX_CHUNK: usize = 1 << 21;

const MASK: usize = MAX_CHUNK - 1;
const PAD: usize = 8;
/// One less than DEFLATE has: see [`SLIDE`].
const DISTANCE: u32 = 32767;
const MIN_MATCH: u32 = 3;
const MAX_MATCH: u32 = 258;
/// No match is looked for with fewer bytes left than this.
const TAIL: u32 = 8;
/// How many of the last positions of a run get into the tables.
const RUN_TAIL: u32 = 16;
const DEPTH: u32 = 18;
const LAZY_DEPTH: u32 = 6;

const NICE: u32 = 64;
/// What a match costs beside the extra bits of its distance, in 1/256 bit; the second where a literal
/// takes less than FEW.
const MATCH_COST: u64 = 9 * 256;
const MATCH_COST_FEW: u64 = 7 * 256;
const FEW: u64 = 640;
/// Lengths that only pay at shorter distances than this aren't looked for.
const LEAST_REACH: u32 = 256;
const SKIP_SHIFT: u32 = 6;
const SKIP_MAX: u32 = 16;
const SEGMENT: u32 = 1024;

const HASH3_BITS: u32 = 15;
const HASH4_BITS: u32 = 16;
const LITERALS: usize = 286;
const DISTANCES: usize = 30;
const MAX_BITS: usize = 14;
const END: usize = 256;

const WINDOW: usize = 32768;
type Window = [u8; MAX_CHUNK + PAD];

/// The heads of the 4-byte hash, those of the 3-byte hash, and for each position modulo 32 KiB the
/// distance to the one before it in its chain. One array, so that the search has one register for it.
type Tables = [u16; PREV + WINDOW];
const HEAD3: usize = 1 << HASH4_BITS;
const PREV: usize = HEAD3 + (1 << HASH3_BITS);

/// Literals followed by a match (or by nothing: length 0).
#[derive(Clone, Copy, Default)]
struct Sequence {
    literals: u32,
    length: u16,
    /// Minus one.
    distance: u16,
}

/// Symbol counts of a stretch of sequences, and what coding it would cost.
#[derive(Clone)]
struct Segment {
    literal: [u32; LITERALS],
    distance: [u32; DISTANCES],
    /// Number of sequences and of input bytes.
    sequences: u32,
    bytes: u32,
    /// Estimate, in 1/256 bit.
    cost: u64,
}

impl Segment {
    const NONE: Self =
        Self { literal: [0; LITERALS], distance: [0; DISTANCES], sequences: 0, bytes: 0, cost: 0 };

    fn merge(&mut self, next: &Self) {
        self.cost = self.joint_cost(next);
        for (a, b) in self.literal.iter_mut().zip(&next.literal) {
            *a = a.wrapping_add(*b);
        }
        for (a, b) in self.distance.iter_mut().zip(&next.distance) {
            *a = a.wrapping_add(*b);
        }
        self.sequences += next.sequences;
        self.bytes += next.bytes;
    }

    /// Entropy of the symbols of both plus a guess at the header.
    fn joint_cost(&self, next: &Self) -> u64 {
        let (literal, literals) =
            entropy(self.literal.iter().zip(&next.literal).map(|(a, b)| a.wrapping_add(*b)));
        let (distance, distances) =
            entropy(self.distance.iter().zip(&next.distance).map(|(a, b)| a.wrapping_add(*b)));
        literal + distance + HEADER_BASE + HEADER_SYMBOL * (literals + distances)
    }
}

const HEADER_BASE: u64 = 60 * 256;
const HEADER_SYMBOL: u64 = 4 * 256;

/// Memory that is kept from chunk to chunk. What a chunk becomes does not depend on it.
pub(crate) struct State {
    window: Box<Window>,
    tables: Box<Tables>,
    sequences: Vec<Sequence>,
    segments: Vec<Segment>,
}

fn boxed<T: Copy, const N: usize>(value: T) -> Box<[T; N]> {
    // Not Box::new([value; N]): that would build megabytes on a worker's stack in a debug build.
    match vec![value; N].into_boxed_slice().try_into() {
        Ok(array) => array,
        Err(_) => unreachable!("a vector of N elements"),
    }
}

impl State {
    pub(crate) fn new() -> Self {
        Self { window: boxed(0), tables: boxed(0), sequences: Vec::new(), segments: Vec::new() }
    }
}

/// Appends the blocks of `input` to `out`, the empty stored block that closes them included.
pub(crate) fn chunk(input: &[u8], out: &mut Vec<u8>, state: &mut State) {
    assert!(input.len() <= MAX_CHUNK, "a chunk has at most 2 MiB");
    state.window[..input.len()].copy_from_slice(input);
    state.tables[..PREV].fill(0);
    state.sequences.clear();
    state.segments.clear();
    parse(state, input.len() as u32);
    let blocks = merge(&mut state.segments);
    let mut bits = Bits { out, acc: 0, count: 0 };
    let (mut from, mut start) = (0, 0);
    let mut stored = 0..0;
    for block in blocks {
        let segment = &mut state.segments[block];
        let upto = from + segment.sequences as usize;
        let end = start + segment.bytes as usize;
        let sequences = &state.sequences[from..upto];
        segment.literal[END] = 1;
        let codes = Codes::of(segment);
        if codes.bits > 8 * u64::from(segment.bytes) + 40 {
            stored = if stored.is_empty() { start..end } else { stored.start..end };
        } else {
            bits.stored(&input[std::mem::replace(&mut stored, 0..0)]);
            bits.block(&codes, &input[start..end], sequences);
        }
        (from, start) = (upto, end);
    }
    bits.stored(&input[stored]);
    bits.align_with_empty_block();
}

#[inline(always)]
fn word4(window: &Window, at: u32) -> u32 {
    let i = at as usize & MASK;
    match window[i..i + 4].first_chunk::<4>() {
        Some(bytes) => u32::from_le_bytes(*bytes),
        None => 0,
    }
}

#[inline(always)]
fn word8(window: &Window, at: u32) -> u64 {
    let i = at as usize & MASK;
    match window[i..i + 8].first_chunk::<8>() {
        Some(bytes) => u64::from_le_bytes(*bytes),
        None => 0,
    }
}

#[inline(always)]
fn hash4(word: u32) -> usize {
    (word.wrapping_mul(0x9e37_79b1) >> (32 - HASH4_BITS)) as usize
}

#[inline(always)]
fn hash3(word: u32) -> usize {
    ((word << 8).wrapping_mul(0x9e37_79b1) >> (32 - HASH3_BITS)) as usize
}

/// How many bytes at `a` and `b` are equal, given that `known` are; may count beyond `max`.
#[inline(always)]
fn extend(window: &Window, a: u32, b: u32, known: u32, max: u32) -> u32 {
    let mut length = known;
    while length < max {
        let differ = word8(window, a.wrapping_add(length)) ^ word8(window, b.wrapping_add(length));
        if differ != 0 {
            return length.wrapping_add(differ.trailing_zeros() >> 3);
        }
        length = length.wrapping_add(8);
    }
    length
}

/// The tables of the search, borrowed one by one so that the loops keep them in registers.
struct Finder<'a> {
    window: &'a Window,
    tables: &'a mut Tables,
    /// What the heads count from.
    base: u32,
}

impl Finder<'_> {
    #[inline(always)]
    fn insert(&mut self, at: u32, word: u32) -> u32 {
        let now = at.wrapping_sub(self.base) as u16;
        let head = std::mem::replace(&mut self.tables[hash4(word)], now);
        let distance = now.wrapping_sub(head);
        self.tables[PREV + (at as usize & 0x7fff)] = distance;
        u32::from(distance)
    }

    /// The longest match at `at` that is longer than `best`, nearest first, as (length, distance).
    #[inline(always)]
    fn search(&mut self, at: u32, left: u32, best: u32, mut depth: u32) -> (u32, u32) {
        let window = self.window;
        let word = word4(window, at);
        let mut found = (best, 0);
        let now = at.wrapping_sub(self.base) as u16;
        let head3 = std::mem::replace(&mut self.tables[HEAD3 + hash3(word)], now);
        let mut distance = self.insert(at, word);
        if best < MIN_MATCH {
            let near = u32::from(now.wrapping_sub(head3));
            if near <= DISTANCE && (word4(window, at.wrapping_sub(near)) ^ word) << 8 == 0 {
                found = (MIN_MATCH, near);
            }
        }
        let max = left.min(MAX_MATCH);
        let nice = max.min(NICE);
        if found.0 >= nice {
            return found;
        }
        let mut offset = found.0.max(MIN_MATCH).wrapping_sub(3);
        let mut tail = word4(window, at.wrapping_add(offset));
        while distance <= DISTANCE {
            let candidate = at.wrapping_sub(distance);
            if word4(window, candidate.wrapping_add(offset)) == tail && word4(window, candidate) == word {
                let length = extend(window, candidate, at, 4, max).min(max);
                if length > found.0
                    && (found.1 == 0 || distance >> (4 * length.wrapping_sub(found.0)).min(31) <= found.1)
                {
                    found = (length, distance);
                    if length >= nice {
                        break;
                    }
                    offset = length.wrapping_sub(3);
                    tail = word4(window, at.wrapping_add(offset));
                }
            }
            depth = depth.wrapping_sub(1);
            if depth == 0 {
                break;
            }
            distance = distance.wrapping_add(u32::from(self.tables[PREV + (candidate as usize & 0x7fff)]));
        }
        found
    }
}

/// Heads are 16 bits from a base, and moved down before they overflow. Positions count from 32,768 at
/// least, so that a head of 0 is always too far away: sliding shows in no match.
const SLIDE: u16 = 32768 - MARGIN;
/// More than one turn of the main loop advances.
const MARGIN: u16 = 1024;

#[inline(never)]
fn slide(tables: &mut Tables) {
    for head in &mut tables[..PREV] {
        *head = head.saturating_sub(SLIDE);
    }
}

/// Collects sequences and cuts them into segments.
struct Collector<'a> {
    sequences: &'a mut Vec<Sequence>,
    segments: &'a mut Vec<Segment>,
    now: Segment,
    symbols: u32,
    window: &'a Window,
    /// Farthest distance worth a match, by length up to 31.
    reach: [u32; 32],
    /// The longest length that is never worth a match.
    least: u32,
}

impl Collector<'_> {
    /// Literals from `from` to `at`, then a match.
    #[inline(always)]
    fn push(&mut self, from: u32, at: u32, length: u32, distance: u32) {
        let literals = at.wrapping_sub(from);
        self.literals(from, at);
        let slot = usize::from(LENGTH_SLOT[length.wrapping_sub(3) as usize & 255]) & 31;
        let symbol = 257 + slot;
        if symbol < LITERALS {
            self.now.literal[symbol] = self.now.literal[symbol].wrapping_add(1);
        }
        let slot = distance_slot(distance.wrapping_sub(1));
        if slot < DISTANCES {
            self.now.distance[slot] = self.now.distance[slot].wrapping_add(1);
        }
        self.sequences.push(Sequence {
            literals,
            length: length as u16,
            distance: distance.wrapping_sub(1) as u16,
        });
        self.now.sequences = self.now.sequences.wrapping_add(1);
        self.now.bytes = self.now.bytes.wrapping_add(literals).wrapping_add(length);
        self.symbols = self.symbols.wrapping_add(literals).wrapping_add(1);
        if self.symbols >= SEGMENT {
            self.cut();
        }
    }

    #[inline(always)]
    fn literals(&mut self, from: u32, at: u32) {
        let mut i = from;
        while i < at {
            let byte = usize::from(self.window[i as usize & MASK]);
            self.now.literal[byte] = self.now.literal[byte].wrapping_add(1);
            i = i.wrapping_add(1);
        }
    }

    /// Literals that no match follows.
    #[cold]
    #[inline(never)]
    fn push_literals(&mut self, from: u32, at: u32) {
        self.literals(from, at);
        let literals = at - from;
        self.sequences.push(Sequence { literals, length: 0, distance: 0 });
        self.now.sequences += 1;
        self.now.bytes += literals;
        self.cut();
    }

    fn aim(&mut self, literal: &[u32; LITERALS]) {
        self.reach = reach(literal);
        self.least = self.reach[3..].iter().take_while(|&&far| far < LEAST_REACH).count() as u32 + 2;
    }

    #[inline(never)]
    fn cut(&mut self) {
        self.now.cost = self.now.joint_cost(&Segment::NONE);
        let literal = self.now.literal;
        self.aim(&literal);
        self.segments.push(std::mem::replace(&mut self.now, Segment::NONE));
        self.symbols = 0;
    }
}

/// For each length up to 31 the farthest distance at which a match is cheaper than literals of these counts.
fn reach(literal: &[u32; LITERALS]) -> [u32; 32] {
    let mut bytes = [0; 256];
    bytes.copy_from_slice(&literal[..256]);
    let count = bytes.iter().sum::<u32>();
    let mut reach = [DISTANCE; 32];
    if count < 64 {
        reach[3] = 8192;
        return reach;
    }
    let each = (entropy(bytes.into_iter()).0 / u64::from(count)).max(384);
    // Few literals: few lengths and distances too, whose symbols are short.
    let cost = if each < FEW { MATCH_COST_FEW } else { MATCH_COST };
    for length in 3..31_u64 {
        let saved = length * each;
        // A length symbol, a distance symbol and (log2 of the distance - 1) extra bits.
        let extra = saved.saturating_sub(cost) / 256;
        reach[length as usize] = if saved < cost { 0 } else { (4_u32 << extra.min(14)).min(DISTANCE) };
    }
    reach
}

fn parse(state: &mut State, end: u32) {
    let mut finder =
        Finder { window: &state.window, tables: &mut state.tables, base: 0_u32.wrapping_sub(32768) };
    let mut first = [0; LITERALS];
    for &byte in &state.window[..(end as usize).min(4096)] {
        first[usize::from(byte)] += 1;
    }
    let mut out = Collector {
        sequences: &mut state.sequences,
        segments: &mut state.segments,
        now: Segment::NONE,
        symbols: 0,
        window: &state.window,
        reach: [0; 32],
        least: 0,
    };
    out.aim(&first);
    let limit = end.saturating_sub(TAIL);
    let (mut at, mut from, mut misses) = (0_u32, 0_u32, 0_u32);
    while at < limit {
        if at.wrapping_sub(finder.base) >= 65536 - u32::from(MARGIN) {
            slide(finder.tables);
            finder.base = finder.base.wrapping_add(u32::from(SLIDE));
        }
        let (mut length, mut distance) = finder.search(at, end.wrapping_sub(at), out.least, DEPTH);
        if distance == 0 || distance > out.reach[(length as usize).min(31)] {
            misses = misses.wrapping_add(1);
            at = at.wrapping_add((misses >> SKIP_SHIFT).min(SKIP_MAX).wrapping_add(1));
            if at.wrapping_sub(from) >= SEGMENT {
                let upto = at.min(end);
                out.push_literals(from, upto);
                from = upto;
            }
            continue;
        }
        misses = 0;
        let mut done = at.wrapping_add(1);
        while length < NICE && done < limit {
            let (longer, near) = finder.search(done, end.wrapping_sub(done), length, LAZY_DEPTH);
            done = done.wrapping_add(1);
            // One byte more at four times the distance doesn't pay.
            if near == 0 || near >> (4 * longer.wrapping_sub(length)).wrapping_sub(2).min(31) >= distance {
                break;
            }
            (length, distance) = (longer, near);
            at = at.wrapping_add(1);
        }
        out.push(from, at, length, distance);
        at = at.wrapping_add(length);
        from = at;
        let upto = at.min(limit);
        if distance == 1 {
            // In a run every position is the same: its last ones will do.
            done = done.max(upto.saturating_sub(RUN_TAIL));
        }
        while done < upto {
            let word = word4(finder.window, done);
            finder.insert(done, word);
            done = done.wrapping_add(1);
        }
    }
    if from < end {
        out.push_literals(from, end);
    } else if out.symbols > 0 {
        out.cut();
    }
}

/// Joins neighbours for as long as that saves bits, the pair that saves most first.
fn merge(segments: &mut [Segment]) -> Vec<usize> {
    let gain = |segments: &[Segment], a: usize, b: usize| {
        (segments[a].cost + segments[b].cost) as i64 - segments[a].joint_cost(&segments[b]) as i64
    };
    // Which segments still stand, and what joining each with the next one standing saves.
    let mut standing: Vec<usize> = (0..segments.len()).collect();
    let mut gains: Vec<i64> = (1..segments.len()).map(|i| gain(segments, i - 1, i)).collect();
    while let Some((i, &best)) = gains.iter().enumerate().rev().max_by_key(|&(_, gain)| gain) {
        if best <= 0 {
            break;
        }
        let (head, tail) = segments.split_at_mut(standing[i + 1]);
        head[standing[i]].merge(&tail[0]);
        standing.remove(i + 1);
        gains.remove(i);
        if i > 0 {
            gains[i - 1] = gain(segments, standing[i - 1], standing[i]);
        }
        if i < gains.len() {
            gains[i] = gain(segments, standing[i], standing[i + 1]);
        }
    }
    standing
}

/// n log2 n in 1/256, of n below 4096; log2 cut to 1/256, by repeated squaring.
static N_LOG2: [u32; 4096] = {
    let mut table = [0; 4096];
    let mut n = 1;
    while n < 4096 {
        let whole = (n as u32).ilog2();
        let mut x = (n as u64) << (31 - whole);
        let mut log = whole;
        let mut bit = 0;
        while bit < 8 {
            x = (x * x) >> 31;
            log = log << 1 | (x >> 32) as u32;
            if x >> 32 != 0 {
                x >>= 1;
            }
            bit += 1;
        }
        table[n] = n as u32 * log;
        n += 1;
    }
    table
};

#[inline(always)]
fn n_log2(n: u32) -> u64 {
    match N_LOG2.get(n as usize) {
        Some(&product) => u64::from(product),
        None => large_n_log2(n),
    }
}

/// Of 12 leading bits m and the rest: n log2 m + n times their number.
#[cold]
fn large_n_log2(n: u32) -> u64 {
    let shift = n.ilog2() - 11;
    let m = n >> shift;
    let log = N_LOG2[m as usize] / m + shift * 256;
    u64::from(n) * u64::from(log)
}

/// (sum of n log2(total / n) in 1/256 bit, number of n that aren't 0).
fn entropy(counts: impl Iterator<Item = u32>) -> (u64, u64) {
    let (mut total, mut sum, mut used) = (0_u32, 0_u64, 0_u64);
    for n in counts {
        total = total.wrapping_add(n);
        sum = sum.wrapping_add(n_log2(n));
        used = used.wrapping_add(u64::from(n != 0));
    }
    (n_log2(total).saturating_sub(sum), used)
}

/// Slot (symbol - 257) of a length - 3.
static LENGTH_SLOT: [u8; 256] = {
    let mut table = [0; 256];
    let mut slot = 0;
    while slot < 29 {
        let mut i = LENGTH_BASE[slot] as usize - 3;
        while i < 256 {
            table[i] = slot as u8;
            i += 1;
        }
        slot += 1;
    }
    table
};

/// RFC 1951, 3.2.5.
const LENGTH_BASE: [u16; 29] = [
    3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195,
    227, 258,
];
const LENGTH_EXTRA: [u8; 29] =
    [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];

/// Distance symbol of a distance - 1 (RFC 1951, 3.2.5: two symbols to each power of two).
#[inline(always)]
fn distance_slot(d: u32) -> usize {
    let top = (d | 1).ilog2();
    let half = d >> (top.wrapping_sub(1) & 31) & 1;
    if d < 2 { d as usize } else { (2 * top).wrapping_add(half) as usize }
}

#[inline(always)]
fn distance_extra(slot: usize) -> u32 {
    (slot as u32 >> 1).saturating_sub(1)
}

/// The codes of a block, its header, and how long it is.
struct Codes {
    literal: [u16; LITERALS],
    literal_bits: [u8; LITERALS],
    distance: [u16; 32],
    distance_bits: [u8; 32],
    header: Header,
    fixed: bool,
    bits: u64,
}

struct Header {
    hlit: usize,
    hdist: usize,
    hclen: usize,
    /// Code length symbols with their extra bits.
    items: Vec<(u8, u8)>,
    code: [u16; 19],
    code_bits: [u8; 19],
    bits: u64,
}

const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

impl Header {
    fn of(literal_bits: &[u8; LITERALS], distance_bits: &[u8]) -> Self {
        let trim = |bits: &[u8], least: usize| {
            bits.iter().rposition(|&bits| bits != 0).map_or(0, |last| last + 1).max(least)
        };
        let hlit = trim(literal_bits, 257);
        let hdist = trim(distance_bits, 1);
        let lengths: Vec<u8> = literal_bits[..hlit].iter().chain(&distance_bits[..hdist]).copied().collect();
        let mut items = Vec::with_capacity(lengths.len());
        for run in lengths.chunk_by(|a, b| a == b) {
            runs(run[0], run.len(), &mut items);
        }
        let mut counts = [0; 19];
        for &(symbol, _) in &items {
            counts[usize::from(symbol)] += 1;
        }
        let mut code_bits = [0; 19];
        code_lengths(&counts, 7, &mut code_bits);
        let mut code = [0; 19];
        canonical(&code_bits, &mut code);
        let hclen =
            ORDER.iter().rposition(|&symbol| code_bits[symbol] != 0).map_or(4, |last| (last + 1).max(4));
        let mut bits = 14 + 3 * hclen as u64;
        for &(symbol, _) in &items {
            bits += u64::from(code_bits[usize::from(symbol)]) + u64::from(extra_of(symbol));
        }
        Self { hlit, hdist, hclen, items, code, code_bits, bits }
    }
}

const fn extra_of(symbol: u8) -> u8 {
    match symbol {
        16 => 2,
        17 => 3,
        18 => 7,
        _ => 0,
    }
}

/// Codes a run of equal code lengths (RFC 1951, 3.2.7), longest repeats first.
fn runs(value: u8, mut count: usize, items: &mut Vec<(u8, u8)>) {
    if value == 0 {
        while count >= 11 {
            let take = count.min(138);
            items.push((18, (take - 11) as u8));
            count -= take;
        }
        if count >= 3 {
            items.push((17, (count - 3) as u8));
            count = 0;
        }
    } else {
        items.push((value, 0));
        count -= 1;
        while count >= 3 {
            let take = count.min(6);
            items.push((16, (take - 3) as u8));
            count -= take;
        }
    }
    for _ in 0..count {
        items.push((value, 0));
    }
}

impl Codes {
    fn of(segment: &Segment) -> Self {
        let mut literal_bits = [0; LITERALS];
        let mut distance_bits = [0; 32];
        code_lengths(&segment.literal, MAX_BITS, &mut literal_bits);
        code_lengths(&segment.distance, MAX_BITS, &mut distance_bits[..DISTANCES]);
        let header = Header::of(&literal_bits, &distance_bits);
        let dynamic = header.bits + body(segment, &literal_bits, &distance_bits);
        let (fixed_literal, fixed_distance) = fixed_bits();
        let fixed = body(segment, &fixed_literal, &fixed_distance);
        let is_fixed = fixed <= dynamic;
        if is_fixed {
            (literal_bits, distance_bits) = (fixed_literal, fixed_distance);
        }
        let mut codes = Self {
            literal: [0; LITERALS],
            literal_bits,
            distance: [0; 32],
            distance_bits,
            header,
            fixed: is_fixed,
            bits: 3 + fixed.min(dynamic),
        };
        if is_fixed {
            // The fixed code has 288 symbols; the last two are never used but take part in numbering.
            let mut all = [8; 288];
            all[..LITERALS].copy_from_slice(&codes.literal_bits);
            let mut code = [0; 288];
            canonical(&all, &mut code);
            codes.literal.copy_from_slice(&code[..LITERALS]);
        } else {
            canonical(&codes.literal_bits, &mut codes.literal);
        }
        canonical(&codes.distance_bits, &mut codes.distance);
        codes
    }
}

fn fixed_bits() -> ([u8; LITERALS], [u8; 32]) {
    let mut literal = [8; LITERALS];
    literal[144..256].fill(9);
    literal[256..280].fill(7);
    (literal, [5; 32])
}

/// Bits of a segment's symbols, extra bits included.
fn body(segment: &Segment, literal_bits: &[u8; LITERALS], distance_bits: &[u8; 32]) -> u64 {
    let mut bits = 0;
    for (symbol, (&count, &length)) in segment.literal.iter().zip(literal_bits).enumerate() {
        let extra = if symbol > END { LENGTH_EXTRA[symbol - 257] } else { 0 };
        bits += u64::from(count) * u64::from(length + extra);
    }
    for (symbol, (&count, &length)) in segment.distance.iter().zip(distance_bits).enumerate() {
        bits += u64::from(count) * u64::from(u32::from(length) + distance_extra(symbol));
    }
    bits
}

/// Huffman code lengths of at most `limit`; 0 where the count is 0. At least two symbols get a code.
fn code_lengths(counts: &[u32], limit: usize, lengths: &mut [u8]) {
    lengths.fill(0);
    // Unique keys, so that any sort gives one order.
    let mut leaves: Vec<u64> = Vec::with_capacity(counts.len());
    for (symbol, &count) in counts.iter().enumerate() {
        if count != 0 {
            leaves.push(u64::from(count) << 16 | symbol as u64);
        }
    }
    leaves.sort_unstable();
    let used = leaves.len();
    if used < 2 {
        let symbol = leaves.first().map_or(0, |leaf| (leaf & 0xffff) as usize);
        lengths[symbol] = 1;
        lengths[usize::from(symbol == 0)] = 1;
        return;
    }
    let mut per_length = depths(&leaves);
    shorten(&mut per_length, limit);
    let mut rarest_first = leaves.iter();
    for length in (1..=limit).rev() {
        for leaf in rarest_first.by_ref().take(per_length[length] as usize) {
            lengths[(leaf & 0xffff) as usize] = length as u8;
        }
    }
}

/// How many leaves, sorted by count, lie at each depth of their Huffman tree; 31 and deeper together.
fn depths(leaves: &[u64]) -> [u32; 32] {
    let used = leaves.len();
    let mut weight: Vec<u64> = Vec::with_capacity(used);
    let mut parent = vec![0_usize; 2 * used];
    let (mut leaf, mut inner) = (0, 0);
    for node in 0..used - 1 {
        let mut sum = 0;
        for _ in 0..2 {
            // A leaf before an inner node of the same weight: the tree stays flat.
            if leaf < used && (inner >= node || leaves[leaf] >> 16 <= weight[inner]) {
                sum += leaves[leaf] >> 16;
                leaf += 1;
            } else {
                sum += weight[inner];
                parent[inner] = node;
                inner += 1;
            }
        }
        weight.push(sum);
    }
    // Inner nodes from the root down; each inner node at a depth takes one leaf's place and offers two.
    let mut depth = vec![0_usize; used];
    let mut inner_at = [0_u32; 33];
    for node in (0..used - 1).rev() {
        let own = if node == used - 2 { 0 } else { (depth[parent[node]] + 1).min(31) };
        depth[node] = own;
        inner_at[own] += 1;
    }
    let mut per_length = [0; 32];
    let mut nodes = 1;
    let mut seen = 0;
    for length in 0..31 {
        per_length[length] = nodes - inner_at[length];
        seen += per_length[length];
        nodes = 2 * inner_at[length];
    }
    per_length[31] = used as u32 - seen;
    per_length
}

/// Moves leaves deeper than `limit` up, and others down, until the code is complete again.
fn shorten(per_length: &mut [u32; 32], limit: usize) {
    let deep: u32 = per_length[limit + 1..].iter().sum();
    if deep == 0 {
        return;
    }
    per_length[limit + 1..].fill(0);
    per_length[limit] += deep;
    let full = 1_u64 << limit;
    let mut space: u64 = (1..=limit).map(|length| u64::from(per_length[length]) << (limit - length)).sum();
    while space > full {
        // One code of the limit's length goes; the longest shorter code becomes two of one bit more.
        let mut length = limit - 1;
        while per_length[length] == 0 {
            length -= 1;
        }
        per_length[limit] -= 1;
        per_length[length] -= 1;
        per_length[length + 1] += 2;
        space -= 1;
    }
}

/// Canonical codes (RFC 1951, 3.2.2), bits reversed as they are written.
fn canonical(lengths: &[u8], codes: &mut [u16]) {
    let mut next = [0_u16; 17];
    for &length in lengths {
        next[usize::from(length) + 1] += 1;
    }
    next[1] = 0;
    for length in 2..17 {
        next[length] = (next[length] + next[length - 1]) << 1;
    }
    // next[n + 1] counted length n, and now holds the first code of length n + 1 - so shift by one below.
    for (code, &length) in codes.iter_mut().zip(lengths) {
        if length != 0 {
            let first = &mut next[usize::from(length)];
            *code = first.reverse_bits() >> (16 - u32::from(length));
            *first += 1;
        }
    }
}

/// Writes bits, lowest first, into 8 spare bytes ahead of the end.
struct Bits<'a> {
    out: &'a mut Vec<u8>,
    acc: u64,
    count: u32,
}

impl Bits<'_> {
    fn put(&mut self, value: u64, count: u32) {
        self.acc |= value << self.count;
        self.count += count;
        while self.count >= 8 {
            self.out.push(self.acc as u8);
            self.acc >>= 8;
            self.count -= 8;
        }
    }

    fn align(&mut self) {
        if self.count > 0 {
            self.put(0, 8 - self.count);
        }
    }

    fn align_with_empty_block(&mut self) {
        self.put(0, 3);
        self.align();
        self.out.extend_from_slice(&[0, 0, 0xff, 0xff]);
    }

    fn stored(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(65535) {
            self.put(0, 3);
            self.align();
            let length = piece.len() as u16;
            self.out.extend_from_slice(&length.to_le_bytes());
            self.out.extend_from_slice(&(!length).to_le_bytes());
            self.out.extend_from_slice(piece);
        }
    }

    fn block(&mut self, codes: &Codes, input: &[u8], sequences: &[Sequence]) {
        if codes.fixed {
            self.put(0b010, 3);
        } else {
            self.put(0b100, 3);
            self.header(&codes.header);
        }
        self.body(codes, input, sequences);
        self.put(u64::from(codes.literal[END]), u32::from(codes.literal_bits[END]));
    }

    fn header(&mut self, header: &Header) {
        self.put(header.hlit as u64 - 257, 5);
        self.put(header.hdist as u64 - 1, 5);
        self.put(header.hclen as u64 - 4, 4);
        for &symbol in &ORDER[..header.hclen] {
            self.put(u64::from(header.code_bits[symbol]), 3);
        }
        for &(symbol, extra) in &header.items {
            let i = usize::from(symbol);
            self.put(u64::from(header.code[i]), u32::from(header.code_bits[i]));
            self.put(u64::from(extra), u32::from(extra_of(symbol)));
        }
    }

    /// Literals and matches: the inner loop of writing.
    fn body(&mut self, codes: &Codes, input: &[u8], sequences: &[Sequence]) {
        // Code in the low bits, its length in the top byte.
        let mut literal = [0_u32; 256];
        for (entry, (&code, &bits)) in literal.iter_mut().zip(codes.literal.iter().zip(&codes.literal_bits)) {
            *entry = u32::from(code) | u32::from(bits) << 24;
        }
        let mut length = [0_u32; 256];
        for (i, entry) in length.iter_mut().enumerate() {
            let slot = usize::from(LENGTH_SLOT[i]);
            let bits = codes.literal_bits[257 + slot];
            let extra = (i + 3 - usize::from(LENGTH_BASE[slot])) as u32;
            *entry = u32::from(codes.literal[257 + slot])
                | extra << bits
                | u32::from(bits + LENGTH_EXTRA[slot]) << 24;
        }
        let mut distance = [0_u32; 32];
        for (slot, entry) in distance.iter_mut().enumerate() {
            *entry = u32::from(codes.distance[slot]) | u32::from(codes.distance_bits[slot]) << 24;
        }
        let start = self.out.len();
        self.out.resize(start + (codes.bits / 8) as usize + 24, 0);
        let buffer = &mut self.out[start..];
        let (mut acc, mut count, mut at) = (self.acc, self.count, 0_usize);
        macro_rules! put {
            ($entry:expr) => {{
                let entry = $entry;
                acc |= u64::from(entry & 0xff_ffff) << (count & 63);
                count = count.wrapping_add(entry >> 24);
            }};
        }
        macro_rules! flush {
            () => {{
                if let Some(place) = buffer.get_mut(at..at.wrapping_add(8)) {
                    place.copy_from_slice(&acc.to_le_bytes());
                }
                at = at.wrapping_add((count >> 3) as usize);
                acc >>= count & 56;
                count &= 7;
            }};
        }
        let mut rest = input;
        for sequence in sequences {
            let (literals, after) = rest.split_at((sequence.literals as usize).min(rest.len()));
            let mut four = literals.chunks_exact(4);
            for bytes in &mut four {
                put!(literal[usize::from(bytes[0])]);
                put!(literal[usize::from(bytes[1])]);
                put!(literal[usize::from(bytes[2])]);
                put!(literal[usize::from(bytes[3])]);
                flush!();
            }
            let few = four.remainder();
            if !few.is_empty() {
                for &byte in few {
                    put!(literal[usize::from(byte)]);
                }
                flush!();
            }
            if sequence.length == 0 {
                rest = after;
                continue;
            }
            put!(length[usize::from(sequence.length.wrapping_sub(3)) & 255]);
            let d = u32::from(sequence.distance);
            let slot = distance_slot(d) & 31;
            put!(distance[slot]);
            let extra = distance_extra(slot);
            acc |= u64::from(d & ((1_u32 << (extra & 31)).wrapping_sub(1))) << (count & 63);
            count = count.wrapping_add(extra);
            flush!();
            rest = after.get(usize::from(sequence.length)..).unwrap_or(&[]);
        }
        self.out.truncate(start + at);
        (self.acc, self.count) = (acc, count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inflate(blocks: &[u8], length: usize) -> Vec<u8> {
        let mut stream = blocks.to_vec();
        stream.extend_from_slice(&[1, 0, 0, 0xff, 0xff]);
        let mut inflated = vec![0; length];
        let mut decoder = libdeflater::Decompressor::new();
        assert_eq!(decoder.deflate_decompress(&stream, &mut inflated), Ok(length));
        inflated
    }

    #[test]
    fn what_goes_in_comes_out_whatever_the_state_did_before() {
        let mut noise = 7_u32;
        let mut next = || {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            noise >> 24
        };
        let mut inputs: Vec<Vec<u8>> = (0..40).map(|length| vec![b'a'; length]).collect();
        for mask in [0, 1, 3, 15, 63, 255] {
            inputs.push((0..100_000).map(|_| (next() & mask) as u8).collect());
        }
        inputs.push(vec![0; MAX_CHUNK]);
        inputs.push(
            (0..MAX_CHUNK - 1).map(|i| if i % 40_000 < 9 { next() as u8 } else { (i / 300) as u8 }).collect(),
        );
        inputs.push((0..=255).cycle().take(70_000).collect());
        let mut used = State::new();
        for input in &inputs {
            let (mut first, mut again) = (Vec::new(), b"before".to_vec());
            chunk(input, &mut first, &mut State::new());
            chunk(input, &mut again, &mut used);
            assert_eq!(first, again[6..]);
            assert!(first.ends_with(&[0, 0, 0xff, 0xff]));
            assert!(inflate(&first, input.len()) == *input);
            assert!(first.len() <= input.len() + 5 * (input.len() / 65535 + 2));
        }
    }

    #[test]
    fn code_lengths_are_complete_and_limited() {
        let mut fibonacci = vec![1_u32, 1];
        while fibonacci.len() < 40 {
            fibonacci.push(fibonacci[fibonacci.len() - 2] + fibonacci[fibonacci.len() - 1]);
        }
        for counts in [vec![1; 286], fibonacci, vec![0, 5, 0], vec![0; 30], vec![3, 0, 0]] {
            for limit in [9, 14] {
                let mut lengths = vec![0; counts.len()];
                code_lengths(&counts, limit, &mut lengths);
                let space: u32 =
                    lengths.iter().filter(|&&l| l != 0).map(|&l| 1 << (limit - usize::from(l))).sum();
                assert_eq!(space, 1 << limit);
                assert!(counts.iter().zip(&lengths).all(|(&count, &length)| count == 0 || length != 0));
            }
        }
    }

    #[test]
    fn symbols_of_distances_are_those_of_the_rfc() {
        let mut base = 1;
        for symbol in 0..30 {
            assert_eq!(distance_slot(base - 1), symbol);
            base += 1 << distance_extra(symbol);
            assert_eq!(distance_slot(base - 2), symbol);
        }
        assert_eq!(base, 32769);
    }
}
