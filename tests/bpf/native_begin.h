/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * First in a test of BPF code: before the BPF source itself. What gcc says of code that is written
 * for clang and the verifier is of no interest.
 */
#ifndef SEEP_TEST_NATIVE_BEGIN_H
#define SEEP_TEST_NATIVE_BEGIN_H

#pragma GCC diagnostic ignored "-Wunknown-pragmas"
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wunknown-warning-option"
#pragma GCC diagnostic ignored "-Wint-to-pointer-cast"
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wcast-align"
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#pragma GCC diagnostic ignored "-Wmissing-variable-declarations"
#pragma GCC diagnostic ignored "-Wshadow"

#endif
