// SPDX-License-Identifier: GPL-2.0
/* The engine's trace events, under a name of our own, so that both modules can be loaded at once. */
#define RFS_TRACE_SYSTEM mapfs
#include "../../rust/bindings/trace.c"
