/*
 * The floor for appending events: the same work for each event as the notification stream promises, in plain C.
 *
 *     append FILE COUNT          appends COUNT events to FILE, prints the events per second
 *
 * For each event: is the open file still the one at the path (stat), the time in two forms, one line of the stream's
 * format (about 640 bytes, ending in a check over the line and carrying the check of the line before), SHA-256
 * through libcrypto, one write(2). No fdatasync, and nothing for long, broken or unusual values.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define RUN "6f1d3c0a-5b5e-4a7e-9a38-0d1b0c6e2f47"
/* The event that Tests/Emitter emits, so that both write the same bytes. */
#define ACTION "end_layer_conversion"
#define OWN_FIELDS \
    "\",\"image_request\":\"https://registry.example.org/atlas/athena:25.0.1\"," \
    "\"image\":\"registry.example.org/atlas/athena:25.0.1\",\"repository\":\"software.example.org\"," \
    "\"layer\":\"167126a72c1a6dec1cfe595fd1d7cff86d4800482c1dea55bdfb4b5299b95d60\"," \
    "\"id\":\"f1cec170-cfe9-40ed-8c57-0a733cc918ae\",\"status\":\"ok\",\"size_bytes\":\"2127872\"," \
    "\"time_elapsed_s\":\"0.585205\""

static void fail(const char *what)
{
    fprintf(stderr, "append: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* The two forms of the second that `now` lies in; worked out once a second. */
static void clock_texts(time_t second, char *local, char *universal)
{
    struct tm parts;
    localtime_r(&second, &parts);
    strftime(local, 64, "%e %b %Y - %H:%M:%S", &parts);
    gmtime_r(&second, &parts);
    strftime(universal, 64, "%Y-%m-%dT%H:%M:%S", &parts);
}

static inline char *text(char *at, const char *bytes)
{
    size_t length = strlen(bytes);
    memcpy(at, bytes, length);
    return at + length;
}

/* `value` in decimal, with leading zeros up to `width` digits. */
static inline char *number(char *at, unsigned long value, int width)
{
    char backwards[20];
    int length = 0;
    do
        backwards[length++] = (char)('0' + value % 10);
    while ((value /= 10) != 0);
    while (length < width)
        backwards[length++] = '0';
    while (length > 0)
        *at++ = backwards[--length];
    return at;
}

int main(int argc, char **argv)
{
    static const char digits[] = "0123456789abcdef";
    char line[2048], check[33], previous[33], local[64] = "", universal[64] = "", host[256], writer[320];
    unsigned char digest[EVP_MAX_MD_SIZE];
    struct timespec begin, end, now;
    struct stat open_file, at_path;
    time_t second = 0;

    if (argc != 3) {
        fprintf(stderr, "usage: append FILE COUNT\n");
        return 2;
    }
    const char *path = argv[1];
    unsigned long count = strtoul(argv[2], NULL, 10);
    int file = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0660);
    if (file < 0 || fstat(file, &open_file) != 0)
        fail(path);
    if (gethostname(host, sizeof host) != 0)
        fail("gethostname");
    host[sizeof host - 1] = '\0';
    snprintf(writer, sizeof writer, "\",\"host\":\"%s\",\"pid\":\"%ld", host, (long)getpid());
    EVP_MD *sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (sha256 == NULL || context == NULL)
        fail("libcrypto");
    memset(previous, '0', 32);
    previous[32] = '\0';

    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (unsigned long seq = 1; seq <= count; seq++) {
        if (stat(path, &at_path) != 0 || at_path.st_ino != open_file.st_ino || at_path.st_dev != open_file.st_dev)
            fail("the file was rotated");
        clock_gettime(CLOCK_REALTIME, &now);
        if (now.tv_sec != second) {
            second = now.tv_sec;
            clock_texts(second, local, universal);
        }
        char *at = line;
        at = text(at, "{\"time\":\"");
        at = text(at, local);
        at = text(at, ".");
        at = number(at, (unsigned long)now.tv_nsec / 1000000, 3);
        at = text(at, "\",\"timestamp\":\"");
        at = text(at, universal);
        at = text(at, ".");
        at = number(at, (unsigned long)now.tv_nsec, 9);
        at = text(at, "Z\",\"action\":\"" ACTION "\",\"event_id\":\"" RUN ":");
        at = number(at, seq, 1);
        at = text(at, "\",\"run_id\":\"" RUN "\",\"seq\":\"");
        at = number(at, seq, 1);
        at = text(at, "\",\"prev\":\"");
        at = text(at, previous);
        at = text(at, writer);
        at = text(at, OWN_FIELDS);
        long length = at - line;
        if (!EVP_DigestInit_ex2(context, sha256, NULL) || !EVP_DigestUpdate(context, line, (size_t)length)
            || !EVP_DigestFinal_ex(context, digest, NULL))
            fail("libcrypto");
        for (int i = 0; i < 16; i++) {
            check[2 * i] = digits[digest[i] >> 4];
            check[2 * i + 1] = digits[digest[i] & 15];
        }
        check[32] = '\0';
        memcpy(line + length, ",\"check\":\"", 10);
        memcpy(line + length + 10, check, 32);
        memcpy(line + length + 42, "\"}\n", 3);
        if (write(file, line, (size_t)length + 45) != length + 45)
            fail("write");
        memcpy(previous, check, 33);
    }
    clock_gettime(CLOCK_MONOTONIC, &end);

    double seconds = (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
    printf("%.0f\n", (double)count / seconds);
    EVP_MD_CTX_free(context);
    EVP_MD_free(sha256);
    return 0;
}
