/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stands in for libbpf's header of this name; see bpf_helpers.h. The structs are all as vmlinux.h has them. */
#ifndef SEEP_TEST_BPF_CORE_READ_H
#define SEEP_TEST_BPF_CORE_READ_H

#define CORE_READ_1(src, a) ((src)->a)
#define CORE_READ_2(src, a, b) ((src)->a->b)
#define CORE_READ_3(src, a, b, c) ((src)->a->b->c)
#define CORE_READ_PICK(_1, _2, _3, name, ...) name
#define BPF_CORE_READ(src, ...)                                                                    \
	CORE_READ_PICK(__VA_ARGS__, CORE_READ_3, CORE_READ_2, CORE_READ_1, )(src, __VA_ARGS__)
#define bpf_core_field_exists(...) 1
#define bpf_core_type_id_kernel(...) 0

#endif
