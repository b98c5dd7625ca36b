/* What does fsync answer? Preloaded into a process, it fails or is slow on command.
 *
 * FAULTS_CONTROL: a file of one page that both sides map (struct control below).
 * FAULTS_PREFIX: only files whose path begins with it are concerned. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct control {
    int32_t fails;     /* not 0: EIO */
    int32_t delay_ms;  /* before each call */
    int64_t failed;    /* calls that failed so far */
    int64_t delayed;   /* calls that were delayed so far */
    int64_t since_ms;  /* when the first one failed since `fails` was set; set to 0 with it */
};

static struct control *control;
static const char *prefix;
static int (*next_fsync)(int), (*next_fdatasync)(int);

__attribute__((constructor)) static void start(void) {
    const char *path = getenv("FAULTS_CONTROL");
    prefix = getenv("FAULTS_PREFIX");
    next_fsync = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    next_fdatasync = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    int fd = path && prefix ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page != MAP_FAILED)
        control = page;
    close(fd);
}

static int concerns(int fd) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return strncmp(path, prefix, strlen(prefix)) == 0;
}

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int answer(int fd, int (*next)(int)) {
    if (control == NULL || (!control->fails && !control->delay_ms) || !concerns(fd))
        return next(fd);
    if (control->delay_ms) {
        struct timespec delay = {control->delay_ms / 1000, control->delay_ms % 1000 * 1000000L};
        __atomic_add_fetch(&control->delayed, 1, __ATOMIC_SEQ_CST);
        nanosleep(&delay, NULL);
    }
    if (!control->fails)
        return next(fd);
    int64_t none = 0;
    __atomic_compare_exchange_n(&control->since_ms, &none, now_ms(), 0, __ATOMIC_SEQ_CST,
                                __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&control->failed, 1, __ATOMIC_SEQ_CST);
    errno = EIO;
    return -1;
}

int fsync(int fd) { return answer(fd, next_fsync); }
int fdatasync(int fd) { return answer(fd, next_fdatasync); }
