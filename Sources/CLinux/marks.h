#pragma once
// A line of plain text with its quotation marks, found 64 bytes at a time: Swift's vectors have no way from a comparison
// to bits, and no function of Swift's is compiled for newer processors beside one for all.
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// So many bytes behind the end of a text are read, whatever they are; and so many more positions are written.
enum { ducc_marks_beyond = 63, ducc_marks_more = 68 };
enum { ducc_marks_block = 64, ducc_marks_step = 4 };
typedef signed char ducc_marks_bytes __attribute__((vector_size(64), aligned(1)));
typedef bool ducc_marks_bits __attribute__((ext_vector_type(64)));

static inline uint64_t ducc_marks_word(ducc_marks_bits bits) {
    uint64_t word;
    __builtin_memcpy(&word, &bits, sizeof word);
    return word;
}

__attribute__((always_inline)) static inline ptrdiff_t ducc_marks_search(const char *text, size_t count,
                                                                         uint32_t *positions, size_t most,
                                                                         size_t *marks) {
    size_t found = 0;
    for (size_t begin = 0; begin < count && found <= most; begin += ducc_marks_block) {
        ducc_marks_bytes bytes = *(const ducc_marks_bytes *)(text + begin);
        // What is not ASCII is negative.
        uint64_t odd = ducc_marks_word(__builtin_convertvector((bytes < ' ') | (bytes == '\\'), ducc_marks_bits));
        uint64_t block = ducc_marks_word(__builtin_convertvector(bytes == '"', ducc_marks_bits));
        size_t end = odd ? begin + (size_t)__builtin_ctzll(odd) : count;
        if (odd) block &= (odd & -odd) - 1;
        size_t next = found + (size_t)__builtin_popcountll(block);
        // Some at a time, and some of those beyond the last: how many there are can't be guessed ahead.
        for (; block; found += ducc_marks_step)
            for (size_t index = 0; index < ducc_marks_step; index++) {
                positions[found + index] = (uint32_t)(begin + (block ? (size_t)__builtin_ctzll(block) : 0));
                block &= block - 1;
            }
        found = next;
        if (!odd) continue;
        *marks = found;
        return end < count && text[end] == '\n' && found <= most ? (ptrdiff_t)end : -1;
    }
    return -1;
}

#ifdef __x86_64__
__attribute__((target("avx2,bmi,popcnt"))) static ptrdiff_t ducc_marks_search_avx2(const char *text, size_t count,
                                                                                   uint32_t *positions, size_t most,
                                                                                   size_t *marks) {
    return ducc_marks_search(text, count, positions, most, marks);
}
#endif

// The length of the line that a text begins with, up to its line feed, and where its quotation marks are. -1 where there
// is no line feed, or before it a control character, a backslash, anything that is not ASCII, or more than `most` marks.
static inline ptrdiff_t ducc_plain_line(const char *text, size_t count, uint32_t *positions, size_t most, size_t *marks) {
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("popcnt"))
        return ducc_marks_search_avx2(text, count, positions, most, marks);
#endif
    return ducc_marks_search(text, count, positions, most, marks);
}
