/* Marks memory as not to be touched, in builds with AddressSanitizer; nothing otherwise. For allocators. */
#ifndef SLUICE_BASE_ASAN_H
#define SLUICE_BASE_ASAN_H

#if defined(__SANITIZE_ADDRESS__)
#define SL_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SL_ASAN 1
#endif
#endif

#ifdef SL_ASAN
#include <sanitizer/asan_interface.h>
#define SL_ASAN_POISON(p, n)   ASAN_POISON_MEMORY_REGION((p), (n))
#define SL_ASAN_UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION((p), (n))
#else
#define SL_ASAN_POISON(p, n)   ((void)(p), (void)(n))
#define SL_ASAN_UNPOISON(p, n) ((void)(p), (void)(n))
#endif

#endif
