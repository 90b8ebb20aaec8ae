/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What the engine has for programs
 */

#include "asterisk.h"

#include "call/events.h"
#include "convai_ops.h"

/*** DOCUMENTATION
	<managerEvent name="ElevenLabsInterruption" language="en_US" module="app_elevenlabs_convai">
		<managerEventInstance class="EVENT_FLAG_CALL">
			<synopsis>
				Raised when the caller interrupts an ElevenLabs agent.
			</synopsis>
			<syntax>
				<xi:include xpointer="xpointer(/docs/managerEvent[@name='ElevenLabsStart']/managerEventInstance/syntax/parameter)" />
				<parameter name="ResponseId">
					<para>The service's id of the response that was being heard; empty if the agent was not speaking.</para>
				</parameter>
				<parameter name="HeardMs">
					<para>So much of it the caller has heard.</para>
				</parameter>
				<parameter name="LengthMs">
					<para>So much of it had come.</para>
				</parameter>
				<parameter name="LatencyMs">
					<para>As in <literal>ElevenLabsSpoken</literal>.</para>
				</parameter>
			</syntax>
			<description>
				<para>What had come and was not heard is thrown away.</para>
			</description>
			<see-also>
				<ref type="managerEvent">ElevenLabsStart</ref>
				<ref type="managerEvent">ElevenLabsEnd</ref>
			</see-also>
		</managerEventInstance>
	</managerEvent>
	<managerEvent name="ElevenLabsSpoken" language="en_US" module="app_elevenlabs_convai">
		<managerEventInstance class="EVENT_FLAG_CALL">
			<synopsis>
				Raised when a response of an ElevenLabs agent has been played out.
			</synopsis>
			<syntax>
				<xi:include xpointer="xpointer(/docs/managerEvent[@name='ElevenLabsStart']/managerEventInstance/syntax/parameter)" />
				<parameter name="ResponseId">
					<para>The service's id of the response.</para>
				</parameter>
				<parameter name="LengthMs">
					<para>Of its audio.</para>
				</parameter>
				<parameter name="LatencyMs">
					<para>From the caller's last frame of speech to the agent's first word; empty if it answers nothing that the caller has said.</para>
				</parameter>
			</syntax>
			<description>
				<para>Half a second to a second behind its last sound, for more of it might come: then there is one for the rest. A response that is interrupted has an <literal>ElevenLabsInterruption</literal> instead.</para>
			</description>
			<see-also>
				<ref type="managerEvent">ElevenLabsStart</ref>
				<ref type="managerEvent">ElevenLabsEnd</ref>
			</see-also>
		</managerEventInstance>
	</managerEvent>
	<managerEvent name="ElevenLabsTool" language="en_US" module="app_elevenlabs_convai">
		<managerEventInstance class="EVENT_FLAG_CALL">
			<synopsis>
				Raised when an ElevenLabs agent calls a tool, and when it has the result.
			</synopsis>
			<syntax>
				<xi:include xpointer="xpointer(/docs/managerEvent[@name='ElevenLabsStart']/managerEventInstance/syntax/parameter)" />
				<parameter name="Tool">
					<para>The tool's name, as the agent has it.</para>
				</parameter>
				<parameter name="ToolCallId">
					<para>The service's id of this call.</para>
				</parameter>
				<parameter name="State">
					<para><literal>called</literal>, then <literal>done</literal> or <literal>failed</literal>.</para>
				</parameter>
				<parameter name="Where">
					<para><literal>here</literal>, or at the <literal>service</literal>, where its settings let it tell of them.</para>
				</parameter>
				<parameter name="ElapsedMs">
					<para>Since it was called; empty with <literal>called</literal>.</para>
				</parameter>
			</syntax>
			<description>
				<para>Parameters and results are not told: they may be secret.</para>
			</description>
			<see-also>
				<ref type="managerEvent">ElevenLabsStart</ref>
				<ref type="managerEvent">ElevenLabsEnd</ref>
			</see-also>
		</managerEventInstance>
	</managerEvent>
	<managerEvent name="ElevenLabsTranscript" language="en_US" module="app_elevenlabs_convai">
		<managerEventInstance class="EVENT_FLAG_CALL">
			<synopsis>
				Raised when the caller or an ElevenLabs agent has said something, where elevenlabs.conf wants that.
			</synopsis>
			<syntax>
				<xi:include xpointer="xpointer(/docs/managerEvent[@name='ElevenLabsStart']/managerEventInstance/syntax/parameter)" />
				<parameter name="Speaker">
					<para><literal>caller</literal> or <literal>agent</literal>.</para>
				</parameter>
				<parameter name="ResponseId">
					<para>The service's id of the turn.</para>
				</parameter>
				<parameter name="Text">
					<para>What was said, 4096 bytes at most.</para>
				</parameter>
				<parameter name="Final">
					<para>0: the caller's words may still change, or the agent has not been heard yet. 1: they do not change any more.</para>
				</parameter>
				<parameter name="Heard">
					<para>Of the agent, final: the words of Text that the caller has heard, by what the service tells of each piece of audio, else by the share that was played. Not in others.</para>
				</parameter>
				<parameter name="HeardMs">
					<para>Of the agent, final: so much of its audio was heard. Not in others.</para>
				</parameter>
				<parameter name="LengthMs">
					<para>Of the agent, final: so much there was. Not in others.</para>
				</parameter>
				<parameter name="Truncated">
					<para>1 if Text is not whole. Not in others.</para>
				</parameter>
			</syntax>
			<description>
				<para>Only with <literal>transcripts = events</literal> or <literal>all</literal>. A turn of the agent in which the caller hangs up has no final one.</para>
			</description>
			<see-also>
				<ref type="managerEvent">ElevenLabsStart</ref>
				<ref type="managerEvent">ElevenLabsEnd</ref>
			</see-also>
		</managerEventInstance>
	</managerEvent>
 ***/

void events_tell(const struct event_source *source, const struct convai_ops *ops,
	struct convai_session *session)
{
	static const char * const names[CONVAI_EVENT_COUNT] = {
		[CONVAI_EVENT_INTERRUPTION] = "ElevenLabsInterruption",
		[CONVAI_EVENT_SPOKEN] = "ElevenLabsSpoken",
		[CONVAI_EVENT_TOOL] = "ElevenLabsTool",
		[CONVAI_EVENT_TRANSCRIPT] = "ElevenLabsTranscript",
	};
	const struct convai_event *event;

	while ((event = ops->take_event(session))) {
		if (event->kind < CONVAI_EVENT_COUNT) {
			events_publish_told(source, names[event->kind], event);
		}
	}
}
