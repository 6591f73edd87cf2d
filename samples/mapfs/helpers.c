// SPDX-License-Identifier: GPL-2.0
/* Each module has its own copy of the helpers: they are small, and nothing has to be exported. */
#include "../../rust/bindings/helpers.c"
