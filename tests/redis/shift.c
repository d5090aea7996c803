// Loaded before the C library, it moves the clock of the wall by SHIFT seconds, or by as many as the
// file SHIFT_FILE holds at that moment; and by the nanoseconds that the file STEP_FILE holds. Files
// hold eight bytes in the machine's order. (libfaketime allocates, jemalloc asks for the time, and
// redis-server does not start.)
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile const int64_t *seconds, *nanoseconds;

static const volatile int64_t *map(const char *name) {
    const char *path = getenv(name);
    if (!path) return NULL;
    int opened = open(path, O_RDONLY | O_CLOEXEC);
    void *mapped = opened < 0 ? MAP_FAILED : mmap(NULL, 8, PROT_READ, MAP_SHARED, opened, 0);
    if (mapped == MAP_FAILED) abort();
    close(opened);
    return mapped;
}

__attribute__((constructor)) static void map_files(void) {
    seconds = map("SHIFT_FILE");
    nanoseconds = map("STEP_FILE");
}

// In nanoseconds.
static int64_t shift(void) {
    const char *text = getenv("SHIFT");
    int64_t whole = seconds ? *seconds : text ? atol(text) : 0;
    return whole * 1000000000 + (nanoseconds ? *nanoseconds : 0);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = (int)syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t all = (int64_t)now->tv_sec * 1000000000 + now->tv_nsec + shift();
        now->tv_sec = all / 1000000000;
        now->tv_nsec = all % 1000000000;
    }
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec precise;
    (void)zone;
    int result = clock_gettime(CLOCK_REALTIME, &precise);
    if (result == 0) {
        now->tv_sec = precise.tv_sec;
        now->tv_usec = precise.tv_nsec / 1000;
    }
    return result;
}

time_t time(time_t *result) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (result) *result = now.tv_sec;
    return now.tv_sec;
}
