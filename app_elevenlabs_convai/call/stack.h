/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Whose code the channel thread returns to
 */

#ifndef CALL_STACK_H
#define CALL_STACK_H

/*!
 * \brief Whether some other module of Asterisk's has called us, and is to be returned to
 *
 * As app_exec or res_agi do. Costs some 100 us. The channel thread; takes the lock of dl_iterate_phdr.
 *
 * \return 1 also if that cannot be told, for such a module may be unmapped by now
 */
int stack_has_other_module(void);

#endif /* CALL_STACK_H */
