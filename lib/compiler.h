/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Attributes and small macros that every file may use. Nothing here allocates, logs or blocks. */
#ifndef DSI_LIB_COMPILER_H
#define DSI_LIB_COMPILER_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr) - offsetof(type, member)))

#define DSI_MUST_CHECK __attribute__((warn_unused_result))
#define DSI_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define DSI_NORETURN __attribute__((noreturn))
#define DSI_UNUSED __attribute__((unused))

#endif
