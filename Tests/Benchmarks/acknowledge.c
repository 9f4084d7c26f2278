/*
 * The least that a pipe hook can do: acknowledges each event, by its event_id, and keeps none.
 */
#define _GNU_SOURCE
#include <string.h>
#include <unistd.h>

static char input[1 << 20], output[1 << 20];

int main(void)
{
    static const char mark[] = "\"event_id\":\"";
    size_t have = 0;
    ssize_t count;
    while ((count = read(0, input + have, sizeof input - have)) > 0) {
        size_t end = have + count, begin = 0, length = 0;
        char *feed;
        while ((feed = memchr(input + begin, '\n', end - begin))) {
            char *found = memmem(input + begin, feed - (input + begin), mark, sizeof mark - 1);
            if (found) {
                found += sizeof mark - 1;
                size_t size = strcspn(found, "\"");
                memcpy(output + length, found, size);
                length += size;
                output[length++] = '\n';
            }
            begin = feed + 1 - input;
        }
        have = end - begin;
        memmove(input, input + begin, have);
        for (size_t written = 0; written < length;) {
            ssize_t step = write(1, output + written, length - written);
            if (step < 0) return 75;
            written += step;
        }
    }
    return 0;
}
