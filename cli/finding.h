/* finding.h - what a check found: a list of ok, warning and fail, printed as text or JSON. */
#ifndef CLI_FINDING_H
#define CLI_FINDING_H

#include "core/base/err.h"

#include <stdbool.h>
#include <stddef.h>

enum finding_level { FINDING_OK, FINDING_WARNING, FINDING_FAIL };

struct findings;

struct findings *findings_new(void);
void findings_free(struct findings *f);
/* area: "source", "kafka", ... `hint` may be NULL. All texts are copied. */
void finding_add(struct findings *f, enum finding_level level, const char *area, const char *hint,
		 const char *format, ...) __attribute__((format(printf, 5, 6)));
/* An error with its hint and exit code; FINDING_WARNING leaves the exit code alone. */
void finding_err(struct findings *f, enum finding_level level, const char *area,
		 const struct err *e);
/* The worst exit code of all that failed; 0 when nothing did. */
int findings_exit_code(const struct findings *f);
void findings_print(
	const struct findings *f); /* to stdout: one line each, hints below, a summary */
void findings_print_json(
	const struct findings *f); /* {"findings": [{level, area, text, hint}], "exit_code"} */

#endif
