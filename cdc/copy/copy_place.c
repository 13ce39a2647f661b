/* copy_place.c - windows that row images which lack columns fall into again and again.
 *
 * Such an image can't be folded, so its window is given up. A row that is changed all the time by a
 * session with binlog_row_image = MINIMAL would have that happen without end. After some times the
 * table's next window is therefore read as a table without a key is: the stream rests until the
 * place of the snapshot is known, goes on up to there, and is held until the rows have come. All
 * that it shows of the window meanwhile is older than the snapshot, so nothing need be folded.
 *
 * Only the first window of a table can be one, as those before it would need the stream to go on;
 * and only that of a transactional table, as others have no snapshot. Where an XA COMMIT changes
 * the window in that time, the place does not say whether the snapshot has it: it is given up. */
#include "cdc/copy/copy_priv.h"

#define PARTIAL_MAX 3

bool copy_place_wanted(const struct copy_table *t)
{
	return t->work->partial >= PARTIAL_MAX && t->transactional;
}

/* Where one had to be exact, the next one is tried once. */
void copy_place_emitted(const struct copy_lane *lane)
{
	lane->table->work->partial = lane->exact ? PARTIAL_MAX - 1 : 0;
}

void copy_place_learn(struct copy_lane *lane)
{
	if (lane->exact && lane->file[0] == '\0')
		(void)chunk_place(lane->reader, lane->file, &lane->position);
}

bool copy_passed(const struct copy_place *place, const struct gtid_set *point)
{
	if (!gtid_set_is_place(point))
		return gtid_set_contains_set(place->gtid_set, point);
	return place->file[0] != '\0' &&
	       copy_compare_places(place->file, place->position, point->file, point->offset) >= 0;
}

bool copy_place_reached(const struct copy_lane *lane, const struct copy_place *place)
{
	if (place->file[0] == '\0')
		return copy_passed(place, &lane->chunk->point);
	return copy_compare_places(place->file, place->position, lane->file, lane->position) >= 0;
}

static bool holds(const struct copy_lane *lane, const char *file, uint64_t position)
{
	if (!lane->exact || (lane->state != LANE_READING && lane->state != LANE_READ))
		return false;
	if (lane->file[0] == '\0')
		return true;
	return file[0] != '\0' &&
	       copy_compare_places(file, position, lane->file, lane->position) > 0;
}

bool copy_holds(const struct copy *c, const char *file, uint64_t position)
{
	for (size_t i = 0; i < c->lane_count; i++)
		if (holds(&c->lanes[i], file, position))
			return true;
	return copy_exact_holds(c, file, position);
}
