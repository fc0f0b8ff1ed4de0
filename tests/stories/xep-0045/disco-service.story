# XEP-0045 6.2, 6.3: what the service says about itself, and its rooms
level core node real
site wonderland rooms.wonderland.lit
room rabbithole@rooms.wonderland.lit title='Down the hole' owner=alice@wonderland.lit
user alice alice@wonderland.lit/rabbit

alice sends
  <iq type='get' id='d1' to='rooms.wonderland.lit'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>
alice receives
  <iq type='result' id='d1' from='rooms.wonderland.lit'>
    <query xmlns='http://jabber.org/protocol/disco#info'>{*}
      <identity category='conference' type='text' name='{*}'/>
      <feature var='http://jabber.org/protocol/disco#info'/>
      <feature var='http://jabber.org/protocol/disco#items'/>
      <feature var='http://jabber.org/protocol/muc'/>
    </query></iq>

alice sends
  <iq type='get' id='d2' to='rooms.wonderland.lit'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>
alice receives
  <iq type='result' id='d2' from='rooms.wonderland.lit'>
    <query xmlns='http://jabber.org/protocol/disco#items'>
    <item jid='rabbithole@rooms.wonderland.lit' name='Down the hole'/></query></iq>
