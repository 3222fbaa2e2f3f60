// SPDX-License-Identifier: GPL-2.0-or-later
/* The smallest program that can be started: what fork+exec of bench/kernel.sh executes. Built without a C library. */
void _start(void);
void _start(void)
{
	__asm__ volatile("syscall" : : "a"(231), "D"(0) : "memory"); /* exit_group(0) */
	__builtin_unreachable();
}
