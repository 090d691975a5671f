/* Errors and small helpers that every room uses.
 *
 * Expected failures are negative ints (-errno, or a Kafka error where a function says so). Programming errors
 * are asserts, on in release: a broker that goes on after a broken invariant writes broken data.
 * This header, like every header of the room, can be included from C++ (bench/micro).
 */
#ifndef SLUICE_BASE_ERR_H
#define SLUICE_BASE_ERR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define SL_EXTERN_C_BEGIN extern "C" {
#define SL_EXTERN_C_END   }
#define SL_STATIC_ASSERT  static_assert
#else
#define SL_EXTERN_C_BEGIN
#define SL_EXTERN_C_END
#define SL_STATIC_ASSERT _Static_assert
#endif

SL_EXTERN_C_BEGIN

/* Writes the printf-style message and a newline to stderr, then aborts. Any thread. */
__attribute__((noreturn, cold, format(printf, 1, 2))) void sl_panic(const char *fmt, ...);

/* The failing half of SL_ASSERT: prints file:line, function and condition, then aborts. */
__attribute__((noreturn, cold)) void sl_assert_failed(const char *file, int line, const char *func,
                                                      const char *cond);

SL_EXTERN_C_END

#define sl_likely(x)   __builtin_expect(!!(x), 1)
#define sl_unlikely(x) __builtin_expect(!!(x), 0)

/* Checked in every build. */
#define SL_ASSERT(cond) (sl_likely(cond) ? (void)0 : sl_assert_failed(__FILE__, __LINE__, __func__, #cond))

/* Checked in debug and sanitized builds only: for conditions that cost too much on the data path. The
 * condition is always compiled, so it cannot rot. */
#if !defined(NDEBUG) || defined(SLUICE_SANITIZED)
#define SL_DASSERT(cond) SL_ASSERT(cond)
#define SL_DEBUG_BUILD   1
#else
#define SL_DASSERT(cond) ((void)sizeof(!(cond)))
#define SL_DEBUG_BUILD   0
#endif

/* The structure that holds `member` at address `ptr`. */
#define SL_CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Number of elements of a true array (not of a pointer). */
#define SL_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Each argument is evaluated once. They nest: the counter keeps the inner one's names apart. */
#define SL_MIN(a, b)          SL_PICK_(a, b, <, __COUNTER__)
#define SL_MAX(a, b)          SL_PICK_(a, b, >, __COUNTER__)
#define SL_PICK_(a, b, op, n) SL_PICK2_(a, b, op, n)
#define SL_PICK2_(a, b, op, n)                                                                               \
    __extension__({                                                                                          \
        __auto_type sl_a_##n = (a);                                                                          \
        __auto_type sl_b_##n = (b);                                                                          \
        sl_a_##n op sl_b_##n ? sl_a_##n : sl_b_##n;                                                          \
    })

/* Rounds x up or down to a multiple of pow2, a power of two; the arithmetic is in x's own type, and pow2 is
 * evaluated more than once. Rounding up wraps within pow2 of the type's maximum: check lengths first. */
#define SL_ALIGN_DOWN(x, pow2) ((__typeof__(x))((x) & ~((__typeof__(x))(pow2)-1)))
#define SL_ALIGN_UP(x, pow2)   ((__typeof__(x))(((x) + ((__typeof__(x))(pow2)-1)) & ~((__typeof__(x))(pow2)-1)))

/* Both sides of a cache line that two threads write must be this far apart. */
#define SL_CACHE_LINE 64

#endif
