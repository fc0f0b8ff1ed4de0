# XEP-0045 6.4, 6.5: what a room says about itself; it does not list its occupants
site wonderland rooms.wonderland.lit
room rabbithole@rooms.wonderland.lit title='Down the hole' members-only moderated owner=alice@wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea

alice joins rabbithole@rooms.wonderland.lit as Alice
hatter sends
  <iq type='get' id='d1' to='rabbithole@rooms.wonderland.lit'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>
hatter receives
  <iq type='result' id='d1' from='rabbithole@rooms.wonderland.lit'>
    <query xmlns='http://jabber.org/protocol/disco#info'>{*}
      <identity category='conference' type='text' name='Down the hole'/>
      <feature var='http://jabber.org/protocol/muc'/>
      <feature var='http://jabber.org/protocol/muc#stable_id'/>
      <feature var='http://jabber.org/protocol/muc#self-ping-optimization'/>
      <feature var='urn:xmpp:sid:0'/>
      <feature var='urn:xmpp:occupant-id:0'/>
      <feature var='muc_membersonly'/>
      <feature var='muc_moderated'/>
      <feature var='muc_semianonymous'/>
      <feature var='muc_persistent'/>
      <feature var='muc_public'/>
      <feature var='muc_unsecured'/>
    </query></iq>

hatter sends
  <iq type='get' id='d2' to='rabbithole@rooms.wonderland.lit'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>
hatter receives
  <iq type='result' id='d2' from='rabbithole@rooms.wonderland.lit'>
    <query xmlns='http://jabber.org/protocol/disco#items'/></iq>
