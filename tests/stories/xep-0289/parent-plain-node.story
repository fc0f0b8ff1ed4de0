# XEP-0289 5.1, listing 4: joining a plain node that writes like the XEP's listings: old stamps, no ids, odd addresses
site wonderland rooms.wonderland.lit uplink rabbithole -> tower@rooms.verona.lit
peer tower tower@rooms.verona.lit
user alice alice@wonderland.lit/rabbit

alice sends
  <presence to='rabbithole@rooms.wonderland.lit/Alice'><x xmlns='http://jabber.org/protocol/muc'/></presence>
alice receives
  <presence from='rabbithole@rooms.wonderland.lit/Alice'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='alice@wonderland.lit/rabbit'/><status code='110'/></x></presence>
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit'><subject/></message>
tower receives
  <presence from='rabbithole@rooms.wonderland.lit/Alice' to='tower@rooms.verona.lit/Alice'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='alice@wonderland.lit/rabbit'/>
    <x xmlns='http://jabber.org/protocol/muc'/><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant'/></x></presence>

tower sends
  <presence from='tower@rooms.verona.lit/Juliet' to='rabbithole@rooms.wonderland.lit'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='juliet@verona.lit/balcony'/>
    <x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='owner' role='moderator' jid='juliet@verona.lit/balcony'/></x></presence>
  <presence from='tower@rooms.verona.lit/Alice' to='rabbithole@rooms.wonderland.lit'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='alice@wonderland.lit/rabbit'/>
    <x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='alice@wonderland.lit/rabbit'/></x></presence>
  <message from='tower@rooms.verona.lit/Juliet' to='rabbithole@rooms.wonderland.lit' type='groupchat'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='juliet@verona.lit/balcony'/><body>This is an old message</body>
    <x xmlns='urn:xmpp:delay' from='tower@rooms.verona.lit' stamp='20120419T16:00:44'/></message>
  <message from='tower@rooms.verona.lit/Romeo' to='rabbithole@rooms.wonderland.lit' type='groupchat'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='romeo@verona.lit/orchard'/><subject>This is the subject</subject>
    <x xmlns='urn:xmpp:delay' from='tower@rooms.verona.lit' stamp='20120528T14:39:34'/></message>
alice receives
  <presence from='rabbithole@rooms.wonderland.lit/Juliet'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='owner' role='moderator'/></x></presence>
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Juliet'><body>This is an old message</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/>
    <delay xmlns='urn:xmpp:delay' from='rabbithole@rooms.wonderland.lit' stamp='2012-04-19T16:00:44{*}'/>
    <delay xmlns='urn:xmpp:delay' from='tower@rooms.verona.lit' stamp='2012-04-19T16:00:44{*}'/></message>
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Romeo'><subject>This is the subject</subject>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{two}'/>
    <delay xmlns='urn:xmpp:delay' from='rabbithole@rooms.wonderland.lit' stamp='2012-05-28T14:39:34{*}'/>
    <delay xmlns='urn:xmpp:delay' from='tower@rooms.verona.lit' stamp='2012-05-28T14:39:34{*}'/></message>
tower receives nothing

tower sends
  <presence type='unavailable' from='tower@rooms.verona.lit/Juliet' to='rabbithole@rooms.wonderland.lit/Alice'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='juliet@verona.lit/balcony'/>
    <x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='none' jid='juliet@verona.lit/balcony'/></x></presence>
alice receives
  <presence type='unavailable' from='rabbithole@rooms.wonderland.lit/Juliet'>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='none'/></x></presence>
