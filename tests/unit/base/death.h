/* Runs code that must stop the process, in a child. */
#ifndef SLUICE_TESTS_UNIT_BASE_DEATH_H
#define SLUICE_TESTS_UNIT_BASE_DEATH_H

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Runs fn(arg) in a child whose stderr goes to text (NUL-terminated). Returns waitpid's status. */
static inline int death_run(void (*fn)(void *), void *arg, char *text, size_t cap)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(fds[1], STDERR_FILENO);
        /* cmocka must not turn the abort into a failed test of the child. */
        signal(SIGABRT, SIG_DFL);
        fn(arg);
        _exit(0);
    }
    close(fds[1]);
    size_t len = 0;
    for (;;) {
        char chunk[4096];
        ssize_t n = read(fds[0], chunk, sizeof(chunk));
        if (n <= 0)
            break;
        size_t k = (size_t)n < cap - 1 - len ? (size_t)n : cap - 1 - len;
        memcpy(text + len, chunk, k);
        len += k;
    }
    text[len] = '\0';
    close(fds[0]);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

/* fn(arg) must abort, and say `says` on stderr. */
static inline void death_expect(void (*fn)(void *), void *arg, const char *says)
{
    static char text[65536];
    int status = death_run(fn, arg, text, sizeof(text));
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT || !strstr(text, says))
        fail_msg("status 0x%x, wanted an abort that says \"%s\", got: %s", (unsigned)status, says, text);
}

#endif
